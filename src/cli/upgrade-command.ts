// `upgrade-check`: what would become of a store's sessions if this file's topology and agents went on with them.

import { OrchestraInstance, Topology, type UpgradeVerdict } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { loadParts, requiredStore, type CodeFlags, type StoreFlags } from "./session-options.ts";

export interface UpgradeFlags extends StoreFlags, CodeFlags {
  readonly json?: boolean;
  /** Hashes of topologies. */
  readonly from?: readonly string[];
}

const WORDS: Readonly<Record<UpgradeVerdict["verdict"], string>> = {
  resumes: "resumes",
  needs_migration: "needs a migration",
  cannot: "cannot",
  other: "of another topology",
};

/** Exit code 0 when every session that was looked at would resume. */
export async function upgradeCheckCommand(file: string, flags: UpgradeFlags, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  if (parts.topology === undefined) throw new UsageError(`${file}: it holds no topology`);
  const { agents, conditions } = parts;
  const { errorConfig, migrations } = parts.options ?? {};
  await using instance = new OrchestraInstance(
    {
      topology: parts.topology,
      ...(agents !== undefined && { agents }),
      ...(conditions !== undefined && { conditions }),
      ...(errorConfig !== undefined && { errorConfig }),
      ...(migrations !== undefined && { migrations }),
      stateManager: requiredStore(flags, io),
    },
    { recover: false },
  );
  const all = await instance.checkUpgrade(flags.from === undefined ? {} : { from: flags.from });
  const sessions = all.filter(({ verdict }) => verdict !== "other");
  const ok = sessions.every(({ verdict }) => verdict === "resumes");
  const others = all.length - sessions.length;
  if (flags.json) {
    const { hash } = Topology.from(parts.topology);
    io.out(JSON.stringify({ ok, topologyHash: hash, sessions, others }, null, 2));
  } else {
    if (sessions.length > 0) io.out(sessions.map(lines).join("\n"));
    io.err(summary(sessions, others));
  }
  return ok ? EXIT.ok : EXIT.failed;
}

function lines(one: UpgradeVerdict): string {
  const head = [one.sessionId, one.status.padEnd(13), headOf(one)].join("  ");
  return [head, ...detailsOf(one).map((line) => `    ${line}`)].join("\n");
}

function headOf({ verdict, goesOnWith }: UpgradeVerdict): string {
  switch (goesOnWith) {
    case "same":
      return "resumes: it has this topology";
    case "new":
      return "resumes: its migration moves it to this topology";
    case "own":
      return "resumes: with the topology it was begun with";
    case null:
      return WORDS[verdict];
  }
}

function detailsOf({ verdict, goesOnWith, topologyHash, nodes, reasons }: UpgradeVerdict): string[] {
  if (goesOnWith === "own") {
    if (nodes.length > 0) return [`to move it, a migration has to say what is called otherwise: ${nodes.join(", ")}`];
    if (reasons.length > 0) return reasons.map((reason) => `it could not move to this one: ${reason}`);
    return [`to move it to this one: migrations: [{ from: "${topologyHash}" }]`];
  }
  if (verdict !== "needs_migration") return [...reasons];
  const renames =
    nodes.length === 0 ? "" : `, nodes: { ${nodes.map((node) => `${JSON.stringify(node)}: …`).join(", ")} }`;
  return [...reasons, `migrations: [{ from: "${topologyHash}"${renames} }]`];
}

function summary(sessions: readonly UpgradeVerdict[], others: number): string {
  const counts = (["resumes", "needs_migration", "cannot"] as const).map((verdict) => {
    const count = sessions.filter((one) => one.verdict === verdict).length;
    return `${count} ${verdict === "needs_migration" ? "need a migration" : verdict === "resumes" ? "resume" : "cannot"}`;
  });
  const beside = others === 0 ? "" : ` (${others} of another topology were not looked at)`;
  return `${sessions.length} unfinished: ${counts.join(", ")}${beside}`;
}
