// The command line: what may be typed, and what help says about it.

import { createRequire } from "node:module";

import { Command, CommanderError, InvalidArgumentError } from "commander";

import { isOrchestraError } from "../index.ts";
import { EXIT, EXIT_CODES_HELP, exitCodeOfError, UsageError } from "./exit-code.ts";
import { repairCommand, verifyCommand } from "./folder-commands.ts";
import type { Io } from "./io.ts";
import { resumeCommand, runCommand, type ResumeFlags, type RunFlags } from "./run-command.ts";
import { sessionsCommand, showCommand } from "./store-commands.ts";
import { addCheckCommand, graphCommand, validateCommand } from "./topology-commands.ts";
import { upgradeCheckCommand, type UpgradeFlags } from "./upgrade-command.ts";

const EXAMPLES = `
Examples:
  orchestra run team.ts --task "Write about otters"
      runs the topology and agents that team.ts exports: progress on standard error, the result on standard output
  orchestra run team.yaml --agents agents.ts --task @task.json --json > result.json
      a topology written as data, with its agents in code; the task from a file
  orchestra run team.ts --store ./state --session otters --task "Again, shorter"
      keeps the session on disk; the same --session again, once its run has ended, continues it with the new task
  orchestra resume otters --file team.ts --store ./state --answer "yes"
      answers an open question, or continues what was paused or interrupted
  orchestra sessions --store ./state --status awaiting_user
  orchestra show otters --store ./state --steps
  orchestra verify ./state
  orchestra repair ./state --copy ./state-repaired
  orchestra graph team.ts > team.mmd
  orchestra validate team.yaml
  orchestra check team.yaml
  orchestra upgrade-check team.ts --store ./state
      says, before a changed team.ts is put to use, which unfinished sessions would go on with it

${EXIT_CODES_HELP}`;

const FILE_HELP = `
FILE is TypeScript or JavaScript with a default export (a topology, or an object of the parts), or named exports
topology, agents, conditions, options, task; or YAML or JSON that holds the topology, with --agents for the functions.`;

/** Runs one command line (without the program's own name). Resolves with the exit code; never rejects. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.ok;
  const program = buildProgram(io, (ended) => (code = ended));
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    io.err(describe(error));
    return exitCodeOfError(error);
  }
}

function buildProgram(io: Io, ended: (code: number) => void): Command {
  const program = new Command("orchestra")
    .description(
      "Runs teams of agents: declare who may talk to whom, hand over a task, get a result that survives crashes.",
    )
    .version(versionOfPackage(), "-V, --version", "the version of the package")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) })
    .showHelpAfterError('(try "orchestra --help")')
    .addHelpText("after", EXAMPLES);

  watched(coded(program.command("run <file>").description("run a topology on a task")))
    .option("-t, --task <text>", "the task: text, a JSON object, @FILE, or - for standard input")
    .option(
      "-s, --session <id>",
      "name of the session; one whose run has ended goes on with the task, one that has not is for resume",
    )
    .option("--fresh", "start the session over")
    .option("-c, --context <key=value...>", "context the agents can read; JSON values are taken as such")
    .option("--max-steps <n>", "agent steps of the whole run", wholeNumber)
    .addHelpText("after", FILE_HELP)
    .action(async (file: string, flags: RunFlags) => ended(await runCommand(file, flags, io)));

  watched(
    coded(
      program
        .command("resume <session>")
        .description("continue a session that is paused, waits for an answer, or was interrupted"),
    ),
  )
    .option("-f, --file <file>", "the file the session was run from: its agents")
    .option("-a, --answer <text...>", "answer to the open question; with several open: question=answer")
    .option("-c, --context <key=value...>", "context to be added before it goes on")
    .action(async (session: string, flags: ResumeFlags) => ended(await resumeCommand(session, flags, io)));

  stored(program.command("sessions").description("list the sessions of a store"))
    .option("--status <status>", "only those: running, paused, awaiting_user, completed, failed, cancelled")
    .option("--limit <n>", "at most so many", wholeNumber)
    .action(async (flags) => ended(await sessionsCommand(flags, io)));

  stored(program.command("show <session>").description("show one session: status, questions, checkpoints, result"))
    .option("--steps", "list its steps")
    .action(async (session: string, flags) => ended(await showCommand(session, flags, io)));

  program
    .command("graph <file>")
    .description("draw the topology of a file; what is wrong with it goes to standard error, with exit code 2")
    .option("--format <format>", "mermaid or dot", "mermaid")
    .action(async (file: string, flags) => ended(await graphCommand(file, flags, io)));

  program
    .command("validate <file>")
    .description("say everything that is wrong with a topology; exit code 2 when it cannot run")
    .option("--agents <file>", "check that its agents are there, too")
    .option("--json", "the problems as JSON")
    .action(async (file: string, flags) => ended(await validateCommand(file, flags, io)));
  addCheckCommand(program, io, ended);

  coded(
    program
      .command("upgrade-check <file>")
      .description("say which unfinished sessions of a store would go on with this file; exit code 1 unless all would"),
  )
    .option("--from <hash...>", "only sessions of these topologies")
    .addHelpText("after", FILE_HELP)
    .action(async (file: string, flags: UpgradeFlags) => ended(await upgradeCheckCommand(file, flags, io)));

  program
    .command("verify <dir>")
    .description("check every record of a store that nothing has open; exit code 4 when something is damaged or lost")
    .option("--json", "the report as JSON")
    .action(async (dir: string, flags) => ended(await verifyCommand(dir, flags, io)));

  program
    .command("repair <dir>")
    .description("save what can be proved good of a damaged store; exit code 4 when something was lost")
    .requiredOption("--copy <newdir>", "a new folder; the original is only read")
    .option("--json", "the report as JSON")
    .action(async (dir: string, flags) => ended(await repairCommand(dir, flags, io)));

  return program;
}

function stored(command: Command): Command {
  return command
    .option("--store <dir>", "folder of the store (or the variable ORCHESTRA_STORE)")
    .option("--json", "everything as JSON on standard output");
}

function coded(command: Command): Command {
  return stored(command).option("--agents <file>", "TypeScript or JavaScript file whose exports are the agents");
}

function watched(command: Command): Command {
  return command
    .option("-q, --quiet", "no progress")
    .option("-v, --verbose", "every event")
    .option("--log <level>", "structured log lines on standard error: debug, info, warn, error")
    .option("--ask", "ask people by lines on standard input even where it is no terminal")
    .option("--no-ask", "never ask: a run that needs a person stops, to be resumed");
}

function versionOfPackage(): string {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
  return version;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number from 1");
  return value;
}

function describe(error: unknown): string {
  if (isOrchestraError(error)) {
    const hint =
      error.code === "ORCH_AGENT_UNKNOWN" ? "\n(agents come from --agents FILE, or from FILE's export agents)" : "";
    return `error: ${error.code}: ${error.message}${hint}`;
  }
  if (error instanceof UsageError) return `error: ${error.message}`;
  return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
