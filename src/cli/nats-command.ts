// `nats`: what an operator does before hosts share a bus, and after.

import { createInterface } from "node:readline/promises";
import { Argument, Option, type Command } from "commander";

import type { CheckedAsset, InitOptions, NatsAdmin, Role } from "../nats/index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { readAgentNames } from "./load-file.ts";
import { loadNats, onNats, replicaCount, requiredNats, type NatsFlags } from "./nats-options.ts";
import { paint } from "./style.ts";

const ACTIONS = ["init", "check", "purge", "permissions"] as const;
const ROLES = ["client", "worker", "owner", "operator"] as const satisfies readonly Role[];
type Action = (typeof ACTIONS)[number];

/** Somebody waits at a terminal. */
const PATIENCE_MS = 3_000;

interface NatsCommandFlags extends NatsFlags {
  readonly replicas?: 1 | 3 | 5;
  readonly storage?: "file" | "memory";
  readonly yes?: boolean;
  readonly role?: Role;
  readonly agents?: string;
  readonly json?: boolean;
}

const HELP = `
Actions:
  init         create the streams and buckets that are missing, and mend settings that are not safe
  check        say what is missing or not safe; exit code 1 when something is. Changes nothing
  purge        remove them, with every session in them; asks first
  permissions  print what a role must be allowed, for the server's configuration; asks no server

Examples:
  orchestra nats init --servers nats://n1:4222,nats://n2:4222,nats://n3:4222 --replicas 3
  orchestra nats init --agents agents.ts
  orchestra nats permissions --role worker --agents Writer,Editor
`;

export function addNatsCommand(program: Command, io: Io, ended: (code: number) => void): void {
  onNats(
    program
      .command("nats")
      .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
      .description(
        "prepare NATS for hosts that share it, look at it, or clear it away; needs the rights of an operator",
      ),
  )
    .option("--replicas <n>", "copies of each stream: 1, 3 or 5 (default: 3 in a cluster)", replicaCount)
    .addOption(new Option("--storage <storage>", "where streams that are created live").choices(["file", "memory"]))
    .option("--yes", "purge without asking")
    .addOption(new Option("--role <role>", "permissions of whom").choices(ROLES))
    .option(
      "--agents <agents>",
      "a file of agents, or names separated by commas: whose queues init makes, whose steps a worker takes",
    )
    .option("--json", "what was done or found as JSON")
    .addHelpText("after", HELP)
    .action(async (action: Action, flags: NatsCommandFlags) => ended(await natsCommand(action, flags, io)));
}

async function natsCommand(action: Action, flags: NatsCommandFlags, io: Io): Promise<number> {
  if (action === "permissions") return permissions(flags, io);
  const options = requiredNats(flags, io);
  const { openNatsAdmin } = await loadNats();
  await using admin = await openNatsAdmin({ ...options, connectTimeoutMs: PATIENCE_MS });
  switch (action) {
    case "init":
      return await init(admin, flags, io);
    case "check":
      return await check(admin, flags, io);
    case "purge":
      return await purge(admin, options.tenant, flags, io);
  }
}

async function permissions(flags: NatsCommandFlags, io: Io): Promise<number> {
  const { role, agents, inboxPrefix, tenant = io.env["ORCHESTRA_NATS_TENANT"] } = flags;
  if (role === undefined) throw new UsageError(`whose permissions? Say --role ${ROLES.join(", --role ")}`);
  const { natsPermissions } = await loadNats();
  const names = agents === undefined ? undefined : await readAgentNames(agents, io.cwd);
  const { serverConfig, ...printed } = natsPermissions(role, {
    ...(tenant !== undefined && { tenant }),
    ...(names !== undefined && { agents: names }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
  });
  if (flags.json) io.out(json(printed));
  else io.out(`# ${role}: natsBus({ servers, inboxPrefix: "${printed.inboxPrefix}" })\n${serverConfig}`);
  return EXIT.ok;
}

async function init(admin: NatsAdmin, flags: NatsCommandFlags, io: Io): Promise<number> {
  const { replicas, storage, agents } = flags;
  const options: InitOptions = {
    ...(agents !== undefined && { agents: await readAgentNames(agents, io.cwd) }),
    ...(replicas !== undefined && { replicas }),
    ...(storage !== undefined && { storage }),
  };
  const done = await admin.init(options);
  if (flags.json) io.out(json(done));
  else io.out(done.map(({ name, did }) => `${did.padEnd(8)} ${name}`).join("\n"));
  return EXIT.ok;
}

async function check(admin: NatsAdmin, { replicas, json: asJson }: NatsCommandFlags, io: Io): Promise<number> {
  const found = await admin.check(replicas === undefined ? {} : { replicas });
  if (asJson) io.out(json(found));
  else {
    const { url, version, cluster } = found.server;
    const { stdout } = io;
    io.out(
      [
        `nats-server ${version} at ${url}${cluster === undefined ? "" : ` (cluster ${cluster})`}`,
        ...found.warnings.map((warning) => `${paint(stdout, "yellow", "!")} ${warning}`),
        ...found.assets.flatMap((asset) => linesOf(asset, io)),
        ...(found.ok ? [] : ['"orchestra nats init" mends it']),
      ].join("\n"),
    );
  }
  return found.ok ? EXIT.ok : EXIT.failed;
}

function linesOf({ name, job, problems, messages, replicas, storage }: CheckedAsset, { stdout }: Io): string[] {
  if (problems.length > 0) return problems.map(({ message }) => `${paint(stdout, "red", "✗")} ${message}`);
  const figures =
    messages === undefined ? "not to be seen with these credentials" : `${messages} messages, R${replicas}, ${storage}`;
  return [`${paint(stdout, "green", "✓")} ${name.padEnd(24)} ${job} (${figures})`];
}

async function purge(admin: NatsAdmin, tenant: string | undefined, flags: NatsCommandFlags, io: Io): Promise<number> {
  const { assets } = await admin.check();
  const there = assets.filter(({ exists }) => exists);
  const messages = there.reduce((sum, asset) => sum + (asset.messages ?? 0), 0);
  const whose = tenant === undefined ? "" : ` of ${tenant}`;
  if (there.length > 0 && flags.yes !== true)
    await assertAgreed(`${there.length} streams and buckets${whose} with ${messages} messages`, io);
  const removed = await admin.purge();
  if (flags.json) io.out(json(removed));
  else io.out(removed.length === 0 ? "there was nothing" : removed.map((name) => `removed ${name}`).join("\n"));
  return EXIT.ok;
}

/** @throws {UsageError} */
async function assertAgreed(what: string, io: Io): Promise<void> {
  if (io.stdin.isTTY !== true) throw new UsageError(`purge removes ${what}, sessions included; --yes agrees to it`);
  const question = createInterface({ input: io.stdin, output: undefined });
  try {
    io.errRaw(`Remove ${what}, sessions included? Type "purge": `);
    if ((await question.question("")).trim() !== "purge") throw new UsageError("nothing was removed");
  } finally {
    question.close();
  }
}
