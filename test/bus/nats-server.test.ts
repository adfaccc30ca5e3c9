import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { NATS_VERSIONS } from "../support/nats-program.ts";
import { type NatsServer, startNats, until } from "../support/nats.ts";

async function client(server: NatsServer, token?: string): Promise<NatsConnection> {
  return connect({
    servers: server.url,
    reconnectTimeWait: 50,
    maxReconnectAttempts: -1,
    ...(token === undefined ? {} : { token }),
  });
}

/** Ended is also who nobody has asked for its exit code yet: in a container, the first process may never ask. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe("a nats-server for tests", () => {
  it.each(NATS_VERSIONS)("starts a %s that keeps a stream through SIGKILL, on the same port", async (version) => {
    await using server = await startNats({ version, syncAlways: version !== "2.9" });
    const connection = await client(server);
    expect(connection.info?.version).toBe(server.program.version);
    expect(server.program.version).toMatch(
      version === "2.15" ? /^2\.(1[5-9]|[2-9]\d)\./ : new RegExp(`^${version}\\.`),
    );
    const jsm = await jetstreamManager(connection);
    await jsm.streams.add({ name: "KEPT", subjects: ["kept.>"] });
    await jetstream(connection).publish("kept.a", "one");
    await connection.close();
    const before = server.pid;
    await server.restart();
    expect(server.pid).not.toBe(before);
    expect(isAlive(before)).toBe(false);
    const again = await client(server);
    expect((await (await jetstreamManager(again)).streams.info("KEPT")).state.messages).toBe(1);
    await again.close();
  });

  it("answers nobody while it is frozen, and answers what was asked once it goes on", async () => {
    await using server = await startNats();
    const connection = await client(server);
    await server.freeze();
    const answer = connection.flush().then(() => "answered");
    expect(await Promise.race([answer, sleep(200, "silent")])).toBe("silent");
    server.thaw();
    expect(await answer).toBe("answered");
    await connection.close();
  });

  it("is stopped and removed although it is frozen", async () => {
    const server = await startNats();
    const { pid, folder } = server;
    await server.freeze();
    await server[Symbol.asyncDispose]();
    expect({ alive: isAlive(pid), folder: existsSync(folder) }).toEqual({ alive: false, folder: false });
  });

  it("lets in who its configuration names, and nobody else", async () => {
    await using server = await startNats({ jetstream: false, config: 'authorization { token: "s3cret" }' });
    await expect(client(server)).rejects.toThrow(/authorization violation/i);
    const connection = await client(server, "s3cret");
    await connection.flush();
    await connection.close();
  });

  it("says what the server logged when it does not start", async () => {
    await expect(startNats({ config: "no_such_setting: 1" })).rejects.toThrow(/unknown field "no_such_setting"/);
  });

  it("leaves neither server nor folder behind when the process that started it is killed", async () => {
    const child = spawn(
      process.execPath,
      ["--import", "jiti/register", fileURLToPath(new URL("../support/abandoned-nats.ts", import.meta.url))],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const line = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
    const { pid, folder } = JSON.parse(line) as { pid: number; folder: string };
    expect(isAlive(pid)).toBe(true);
    child.kill("SIGKILL");
    await until("the server and its folder are gone", () => !isAlive(pid) && !existsSync(folder));
  });
});
