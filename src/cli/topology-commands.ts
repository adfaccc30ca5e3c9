// `graph`, `validate` and `check`: a topology looked at without running it.

import type { Command } from "commander";

import { Topology, type CheckFinding, type CheckReport, type TopologyProblem } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { agentNames, loadFile, type Loaded } from "./load-file.ts";
import { wholeNumber } from "./option-values.ts";
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

interface CheckFlags {
  readonly maxStates?: number;
  readonly errorRouting?: boolean;
  readonly json?: boolean;
  readonly mermaid?: boolean;
}

async function checkCommand(file: string, flags: CheckFlags, io: Io): Promise<number> {
  if (flags.json === true && flags.mermaid === true)
    throw new UsageError("--json holds the drawings: leave out --mermaid");
  const parts = await loadFile(file, io.cwd);
  const topology = topologyOf(parts, file);
  const { maxStates, errorRouting = true } = flags;
  const functions = parts.conditions ?? {};
  const problems = topology.validate({ functions, errorRouting });
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    if (flags.json) io.out(JSON.stringify({ ok: false, problems }, null, 2));
    else for (const problem of errors) io.err(line(file, problem));
    return EXIT.usage;
  }
  const report = topology.check({ functions, errorRouting, ...(maxStates !== undefined && { maxStates }) });
  if (flags.json) io.out(JSON.stringify(jsonOf(report), null, 2));
  else if (flags.mermaid) io.out(markdownOf(file, report));
  else io.out([...report.findings.map((finding) => told(file, finding)), summaryOf(file, report)].join("\n"));
  return report.ok ? EXIT.ok : EXIT.usage;
}

// JSON has no infinity: null says that nothing bounds the steps.
function jsonOf({ worstCaseSteps, ...report }: CheckReport): object {
  return { ...report, worstCaseSteps: worstCaseSteps === Infinity ? null : worstCaseSteps };
}

function told(file: string, { code, severity, message, counterexample }: CheckFinding): string {
  return [`${file}: ${severity}: ${message} [${code}]`, ...counterexample.map((one) => `    ${one}`)].join("\n");
}

function summaryOf(file: string, { explored, complete, worstCaseSteps, proven }: CheckReport): string {
  const looked = `${explored.toLocaleString("en")} states looked at`;
  const extent = complete ? `${looked}, which is all` : `${looked}, not all: --max-states looks at more`;
  const steps =
    worstCaseSteps === Infinity
      ? "no bound on the steps but maxSteps"
      : `${complete ? "at most" : "at least"} ${worstCaseSteps} steps in the longest run`;
  const proofs = [
    ...(proven.alwaysEnds ? ["every run ends"] : []),
    ...(proven.alwaysDelivers ? ["every run in which no step fails delivers"] : []),
  ];
  return `${file}: ${[extent, steps, ...proofs].join("; ")}`;
}

/** One section for each finding that can be drawn. */
function markdownOf(file: string, report: CheckReport): string {
  const sections = report.findings.flatMap(({ code, severity, message, mermaid }) =>
    mermaid === "" ? [] : [`## ${severity}: ${message} (${code})\n\n\`\`\`mermaid\n${mermaid}\`\`\``],
  );
  return [`# ${file}`, summaryOf(file, report), ...sections].join("\n\n");
}

const CHECK_HELP = `
It tries all runs of the topology by the rules that run them, without running an agent: any conditions may hold, any step may
fail. Each finding comes with a shortest run that shows it.
  error    wrong whatever the agents do: a cycle without exit, a join that can never be satisfied, nothing delivered
  warning  can go wrong by values alone: a join short of its quorum, a spent loop that leads nowhere
  info     needs a failure, a command, or a node none of whose conditions holds
--json prints the whole report with schedules to replay; worstCaseSteps is null where nothing bounds the steps.
--mermaid prints the findings as Markdown with drawings.

Examples:
  orchestra check team.ts
  orchestra check team.yaml --max-states 500000
  orchestra check team.ts --mermaid > findings.md

Exit codes: 0 no finding is an error; 2 one is, or the topology cannot run.`;

export function addCheckCommand(program: Command, io: Io, ended: (code: number) => void): void {
  program
    .command("check <file>")
    .description("try all runs of a topology and say what can go wrong; exit code 2 when a finding is an error")
    .option("--max-states <n>", "states to look at, at most (default 65,000)", wholeNumber)
    .option("--no-error-routing", "as with errorConfig.enableErrorRouting: false")
    .option("--json", "the report as JSON")
    .option("--mermaid", "the findings as Markdown with drawings of their runs")
    .addHelpText("after", CHECK_HELP)
    .action(async (file: string, flags: CheckFlags) => ended(await checkCommand(file, flags, io)));
}

function topologyOf({ topology }: Loaded, file: string): Topology {
  if (topology === undefined) throw new UsageError(`${file}: it holds no topology`);
  return Topology.from(topology);
}

function namesOf({ agents }: Loaded): readonly string[] | undefined {
  return agents === undefined ? undefined : agentNames(agents);
}

function line(file: string, { severity, path, message, hint, code }: TopologyProblem): string {
  return `${file}${path === "" ? "" : `: ${path}`}: ${severity}: ${message}${hint === undefined ? "" : ` (${hint})`} [${code}]`;
}
