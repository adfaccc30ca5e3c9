// `hosts`: who is alive on a bus that hosts share, what they serve and how busy they are.

import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";

import type { HostInfo } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { loadNats, onNats, requiredNats, type NatsFlags } from "./nats-options.ts";

interface HostsFlags extends NatsFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** The news come by themselves; this is for what was lost on the way. */
const LOOK_MS = 2_000;

export function addHostsCommand(program: Command, io: Io, ended: (code: number) => void): void {
  onNats(
    program.command("hosts").description("list the hosts that are alive: what they serve, their steps and sessions"),
    "--nats",
  )
    .option("--watch", "go on, and list them anew whenever something changes")
    .option("--json", "as JSON, with --watch one line each time")
    .addHelpText("after", "\nExample:\n  orchestra hosts --nats nats://n1:4222\n")
    .action(async (flags: HostsFlags) => ended(await hostsCommand(flags, io)));
}

async function hostsCommand(flags: HostsFlags, io: Io): Promise<number> {
  const { natsBus } = await loadNats();
  const bus = natsBus(requiredNats(flags, io));
  const stopped = new AbortController();
  let code: number = EXIT.ok;
  const stop = io.onSignal((signal) => {
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    stopped.abort();
  });
  try {
    let shown = "";
    do {
      const hosts = [...(await bus.liveness.alive())].sort((a, b) => (a.host < b.host ? -1 : 1));
      const text = flags.json ? (flags.watch ? JSON.stringify(hosts) : json(hosts)) : hostsTable(hosts);
      if (text !== shown) io.out(flags.watch && !flags.json && shown !== "" ? `\n${text}` : text);
      shown = text;
      if (flags.watch) await sleep(LOOK_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    } while (flags.watch && !stopped.signal.aborted);
    return code;
  } finally {
    stop();
    await bus.close();
  }
}

const HEAD = ["HOST", "STEPS", "SESSIONS", "ADOPTS", "VERSION", "PID", "AGENTS"] as const;

function hostsTable(hosts: readonly HostInfo[]): string {
  if (hosts.length === 0) return "no host is alive; orchestra host starts one";
  const rows = hosts.map((one) => [
    one.host,
    one.slots === 0 ? `${one.running}` : `${one.running}/${one.slots}`,
    String(one.sessions),
    one.adopts ? "yes" : "no",
    one.version === "" ? "-" : one.version,
    one.pid === undefined ? "-" : String(one.pid),
    [...one.agents, ...Object.entries(one.labels ?? {}).map(([key, value]) => `${key}=${value}`)].join(" "),
  ]);
  const widths = HEAD.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(HEAD), ...rows.map(line)].join("\n");
}
