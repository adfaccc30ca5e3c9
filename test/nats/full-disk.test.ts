// A NATS server whose disk is full: a tmpfs of its own, kept by a process that lives in the same mount namespace.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { OrchestraHost, OrchestraInstance } from "orchestra";
import { natsBus, type NatsBus } from "orchestra/nats";
import { freePorts } from "../support/ports.ts";
import { endWithUs, temporaryFolder } from "../support/leftovers.ts";
import { NatsServer, until } from "../support/nats.ts";
import { findNatsProgram } from "../support/nats-program.ts";
import { expectWhole, LINE, STEPS } from "./host-processes.ts";

const MEBIBYTES = 16;
const SESSIONS = 8;
const AS_ROOT = process.getuid?.() === 0;

/** A process that holds a fresh disk at `folder`, as it sees it. */
async function smallDisk(folder: string): Promise<{ holder: ChildProcess; seenAt: string; launcher: string[] }> {
  const user = AS_ROOT ? [] : ["--user", "--map-root-user"];
  const script = `mount -t tmpfs -o size=${MEBIBYTES}m tmpfs "$DISK" && echo mounted && exec sleep infinity`;
  const holder = spawn("unshare", [...user, "--mount", "sh", "-c", script], {
    env: { ...process.env, DISK: folder },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const forget = endWithUs(holder.pid!);
  onTestFinished(async () => {
    holder.kill("SIGKILL");
    if (holder.exitCode === null && holder.signalCode === null) await once(holder, "exit");
    forget();
  });
  const [said] = (await Promise.race([once(holder.stdout!, "data"), once(holder, "exit")])) as [unknown];
  if (!String(said).includes("mounted"))
    throw new Error("this test needs Linux and unshare (apt-get install util-linux), as root or with user namespaces");
  const into = [
    "nsenter",
    "--target",
    String(holder.pid),
    "--mount",
    ...(AS_ROOT ? [] : ["--user", "--preserve-credentials"]),
  ];
  return { holder, seenAt: `/proc/${holder.pid}/root${folder}`, launcher: into };
}

function fill(file: string): void {
  for (const bytes of [64 * 1024, 1])
    try {
      for (;;) appendFileSync(file, Buffer.alloc(bytes));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
}

it.each(["2.15", "2.10"] as const)(
  "loses nothing on a full disk, and sessions go on once nats-server %s was started anew with room",
  async (version) => {
    const [port, monitorPort] = await freePorts(2);
    const parent = temporaryFolder("full-disk");
    const folder = join(parent, "disk");
    mkdirSync(folder);
    const { seenAt, launcher } = await smallDisk(folder);
    const server = new NatsServer(await findNatsProgram(version), {
      port: port!,
      monitorPort: monitorPort!,
      launcher,
      storeFolder: folder,
    });
    onTestFinished(() => server[Symbol.asyncDispose]());
    await server.start();
    const open: NatsBus[] = [];
    const busOf = (): NatsBus => {
      const bus = natsBus({ servers: server.url, init: { leaseMs: 4_000 }, renewMs: 500, localFirst: false });
      open.push(bus);
      return bus;
    };
    let ran = 0;
    const agent = (name: string) => async (input: unknown) => {
      ran++;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return `${String(input)}${name.toLowerCase()}`;
    };
    await using host = new OrchestraHost({
      bus: busOf(),
      agents: Object.fromEntries(STEPS.map((name) => [name, agent(name)])),
    });
    await host.start();
    await using client = new OrchestraInstance({ bus: busOf(), topology: LINE });
    const ids = Array.from({ length: SESSIONS }, (_, i) => `s${i}`);
    const runs = ids.map((sessionId) => client.execute({ task: "", sessionId }));
    await until("they run", () => ran > SESSIONS);
    const filler = join(seenAt, "filler");
    fill(filler);
    await until("the server cannot write", () => /no space left on device/.test(server.logs));
    rmSync(filler);
    await server.stop();
    await server.start();
    const ended = await Promise.all(runs);
    expect(ended.map(({ status, finalResponse }) => [status, finalResponse])).toEqual(
      ids.map(() => ["completed", "abcd"]),
    );
    for (const sessionId of ids) await expectWhole(client, sessionId);
    expect((await open[0]!.sessions.verify()).problems).toEqual([]);
    await client.close();
    await host.close();
    for (const bus of open) await bus.close();
  },
  120_000,
);
