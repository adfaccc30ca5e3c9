// `graph` and `validate`: a topology looked at without running it.

import { Topology, type AgentDirectory, type AgentsOption, type TopologyProblem } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { loadFile, type Loaded } from "./load-file.ts";
import { loadParts, type CodeFlags } from "./session-options.ts";

export async function graphCommand(file: string, { format = "mermaid" }: { format?: string }, io: Io): Promise<number> {
  if (format !== "mermaid" && format !== "dot") throw new UsageError(`--format ${format}: expected mermaid or dot`);
  const parts = await loadFile(file, io.cwd);
  const topology = topologyOf(parts, file);
  io.out(format === "dot" ? topology.toDot() : topology.toMermaid());
  const errors = topology
    .validate({ functions: parts.conditions ?? {} })
    .filter(({ severity }) => severity === "error");
  for (const problem of errors) io.err(line(file, problem));
  return errors.length > 0 ? EXIT.usage : EXIT.ok;
}

export async function validateCommand(file: string, flags: CodeFlags & { json?: boolean }, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  const agents = namesOf(parts);
  const problems = topologyOf(parts, file).validate({
    functions: parts.conditions ?? {},
    ...(agents !== undefined && { agents }),
  });
  const bad = problems.some(({ severity }) => severity === "error");
  if (flags.json) io.out(JSON.stringify({ ok: !bad, problems }, null, 2));
  else io.out(problems.length === 0 ? `${file}: ok` : problems.map((problem) => line(file, problem)).join("\n"));
  return bad ? EXIT.usage : EXIT.ok;
}

function topologyOf({ topology }: Loaded, file: string): Topology {
  if (topology === undefined) throw new UsageError(`${file}: it holds no topology`);
  return Topology.from(topology);
}

function namesOf({ agents }: Loaded): readonly string[] | undefined {
  if (agents === undefined) return undefined;
  return isDirectory(agents) ? agents.names() : Object.keys(agents);
}

function isDirectory(agents: AgentsOption): agents is AgentDirectory {
  return typeof agents["get"] === "function" && typeof agents["names"] === "function";
}

function line(file: string, { severity, path, message, hint, code }: TopologyProblem): string {
  return `${file}${path === "" ? "" : `: ${path}`}: ${severity}: ${message}${hint === undefined ? "" : ` (${hint})`} [${code}]`;
}
