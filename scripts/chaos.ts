// A cluster under load whose processes and servers are killed and frozen, and what came of its sessions.
//
//   npm run chaos -- --seconds 90 --seed 7 [--servers 3] [--nats 2.10] [--owners 3] [--workers 3] [--lease-ms 4000]
//
// Ends with 1 when a session was lost or ended wrong, or its log was forked or repeats a step. What is executed twice is
// counted: with a process that dies in the middle of a step there is no other way.

import { parseArgs } from "node:util";
import { NATS_VERSIONS, type NatsVersion } from "../test/support/nats-program.ts";
import { DEFAULT_STORM, runStorm, type StormReport } from "./chaos/storm.ts";
import { isGood } from "./chaos/verdict.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "90" },
    seed: { type: "string", default: "1" },
    servers: { type: "string", default: "1" },
    nats: { type: "string" },
    owners: { type: "string", default: String(DEFAULT_STORM.counts.owner) },
    workers: { type: "string", default: String(DEFAULT_STORM.counts.worker) },
    programs: { type: "string", default: String(DEFAULT_STORM.counts.program) },
    clients: { type: "string", default: String(DEFAULT_STORM.counts.client) },
    "in-flight": { type: "string", default: String(DEFAULT_STORM.inFlight) },
    "lease-ms": { type: "string", default: String(DEFAULT_STORM.leaseMs) },
    "spare-servers": { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});

function wholeNumber(name: Exclude<keyof typeof values, "quiet" | "spare-servers">, least: number): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= least) return number;
  return refuse(`--${name}: expected a whole number from ${least}, got "${values[name]}"`);
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

function natsVersion(): NatsVersion | undefined {
  const known = NATS_VERSIONS.find((version) => version === values.nats);
  if (values.nats !== undefined && known === undefined)
    refuse(`--nats: expected ${NATS_VERSIONS.join(", ")}, got "${values.nats}"`);
  return known;
}

const servers = wholeNumber("servers", 1);
if (servers !== 1 && servers !== 3) refuse(`--servers: expected 1 or 3, got ${servers}`);
const version = natsVersion();

const report = await runStorm({
  ...DEFAULT_STORM,
  seconds: wholeNumber("seconds", 1),
  seed: wholeNumber("seed", 0),
  servers,
  ...(version !== undefined && { version }),
  counts: {
    owner: wholeNumber("owners", 1),
    worker: wholeNumber("workers", 0),
    program: wholeNumber("programs", 0),
    client: wholeNumber("clients", 1),
  },
  inFlight: wholeNumber("in-flight", 1),
  leaseMs: wholeNumber("lease-ms", 1_000),
  strikeServers: !values["spare-servers"],
  log: (line) => values.quiet || console.log(line),
});
print(report);
process.exitCode = isGood(report.verdict) ? 0 : 1;

function print({ verdict, blows, refusals, serverVersion }: StormReport): void {
  const { lost, wrong, repeated, forked, ...counts } = verdict;
  console.log({
    seed: Number(values.seed),
    servers: `${servers} × nats-server ${serverVersion}`,
    ...counts,
    executedTwice: `${(counts.executedTwice * 100).toFixed(2)} %`,
    lost: lost.length,
    wrong: wrong.length,
    repeated: repeated.length,
    forked: forked.length,
    blows,
    refusals,
  });
  for (const [name, list] of Object.entries({ lost, wrong, repeated, forked }))
    for (const one of list.slice(0, 10)) console.log(`${name}: ${one}`);
  console.log(isGood(verdict) ? "everything held" : "it did not hold");
}
