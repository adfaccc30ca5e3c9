// `host`: a process that serves agents to sessions of a cluster, until a signal ends it.

import type { Command } from "commander";

import { MetricsCollector, OrchestraHost, type HostInfo, type HostOptions } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { serveMetrics, type MetricsServer } from "./metrics-server.ts";
import { port, wholeNumber } from "./option-values.ts";
import { loadNats, onNats, requiredNats, type NatsFlags } from "./nats-options.ts";
import { versionOf } from "./package-version.ts";
import { levelLogger, loadParts, type CodeFlags } from "./session-options.ts";

interface HostFlags extends NatsFlags, CodeFlags {
  readonly slots?: number;
  readonly perAgent?: readonly string[];
  readonly label?: readonly string[];
  /** False by `--no-adopt`. */
  readonly adopt: boolean;
  readonly drain: number;
  readonly metricsPort?: number;
  readonly metricsAddress?: string;
  readonly log?: string;
  readonly json?: boolean;
}

const DRAIN_S = 30;

const HELP = `
Example:
  orchestra host --agents agents.ts --slots 32 --nats nats://n1:4222

SIGTERM or Ctrl-C lets steps in flight finish, hands back the rest and releases its sessions; once more ends it at once.`;

export function addHostCommand(program: Command, io: Io, ended: (code: number) => void): void {
  onNats(
    program
      .command("host [file]")
      .description("serve agents to sessions of a cluster, and take over sessions whose host is gone")
      .option("--agents <file>", "TypeScript or JavaScript file whose exports are the agents"),
    "--nats",
  )
    .option("--slots <n>", "steps at a time (default: 16)", wholeNumber)
    .option("--per-agent <agent=n...>", "steps at a time of single agents")
    .option("--label <key=value...>", "what else is told of it")
    .option("--no-adopt", "run steps only, own no sessions")
    .option("--drain <seconds>", "how long steps in flight may take to finish", wholeNumber, DRAIN_S)
    .option("--metrics-port <port>", "serve /metrics for Prometheus and /healthz by HTTP", port)
    .option("--metrics-address <address>", "where that listens (default: 127.0.0.1, this machine only)")
    .option("--log <level>", "structured log lines on standard error: debug, info, warn, error")
    .option("--json", "what it says as JSON lines on standard output")
    .addHelpText("after", HELP)
    .action(async (file: string | undefined, flags: HostFlags) => ended(await hostCommand(file, flags, io)));
}

async function hostCommand(file: string | undefined, flags: HostFlags, io: Io): Promise<number> {
  if (file === undefined && flags.agents === undefined)
    throw new UsageError("whose agents? Name their file with --agents FILE");
  const parts = await loadParts(file, flags, io);
  const { natsBus } = await loadNats();
  const bus = natsBus(requiredNats(flags, io));
  const { executionConfig, ...options } = hostOptions(parts.options?.initialConfig);
  const metrics = new MetricsCollector();
  const host = new OrchestraHost({
    bus,
    ...(flags.metricsPort !== undefined && { metricsCollector: metrics }),
    ...options,
    ...(parts.agents !== undefined && { agents: parts.agents }),
    ...(parts.topology !== undefined && { topologies: [parts.topology] }),
    ...(parts.conditions !== undefined && { conditions: parts.conditions }),
    ...(executionConfig !== undefined && { executionConfig }),
    ...(flags.slots !== undefined && { slots: flags.slots }),
    ...(flags.perAgent !== undefined && { perAgent: counts(flags.perAgent) }),
    ...(flags.label !== undefined && { labels: Object.fromEntries(flags.label.map((one) => pair(one, "--label"))) }),
    ...(flags.log !== undefined && { logger: await levelLogger(flags.log) }),
    adopt: flags.adopt,
  });
  const say = (line: Record<string, unknown>, text: string): void =>
    flags.json ? io.out(JSON.stringify(line)) : io.err(text);
  const signalled = firstSignal(io);
  let server: MetricsServer | undefined;
  try {
    if (flags.metricsPort !== undefined) {
      const { metricsPort: port, metricsAddress: address } = flags;
      // Says now, and not to Prometheus later, what has to be installed.
      await metrics.prometheus();
      server = await serveMetrics(host, metrics, { port, ...(address !== undefined && { address }) });
      say({ event: "metrics", url: server.url }, `metrics at ${server.url}/metrics, health at ${server.url}/healthz`);
    }
    await host.start();
    const own = (await host.hosts()).find(({ pid }) => pid === process.pid);
    say({ event: "serving", host: own?.host, agents: own?.agents, slots: own?.slots }, servingText(own));
    const signal = await signalled.first;
    say({ event: "draining", signal }, `${signal}: letting steps in flight finish (once more to stop at once)`);
    await host.drain({ timeoutMs: flags.drain * 1_000 });
    say({ event: "drained" }, "drained");
    return EXIT.ok;
  } finally {
    signalled.stop();
    await host.close();
    await bus.close();
    await server?.close();
  }
}

function hostOptions(initialConfig: HostOptions["executionConfig"]): Pick<HostOptions, "executionConfig" | "version"> {
  const version = versionOf("orchestra");
  return {
    ...(version !== undefined && { version }),
    ...(initialConfig !== undefined && { executionConfig: initialConfig }),
  };
}

function servingText(own: HostInfo | undefined): string {
  if (own === undefined) return "serving";
  return `${own.host} serves ${own.agents.join(", ")} (${own.slots} steps at a time${own.adopts ? "" : ", owns no sessions"})`;
}

/** The second ends the process. */
function firstSignal(io: Io): { readonly first: Promise<string>; stop(): void } {
  let stop = (): void => undefined;
  const first = new Promise<string>((resolve) => {
    let seen = false;
    stop = io.onSignal((signal) => {
      if (seen) io.exit(signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated);
      seen = true;
      resolve(signal);
    });
  });
  return { first, stop: () => stop() };
}

function counts(pairs: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    pairs.map((one) => {
      const [agent, value] = pair(one, "--per-agent");
      const bound = Number(value);
      if (!Number.isInteger(bound) || bound < 1)
        throw new UsageError(`--per-agent ${one}: expected agent=n, n a whole number from 1`);
      return [agent, bound];
    }),
  );
}

function pair(text: string, option: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new UsageError(`${option} ${text}: expected key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
