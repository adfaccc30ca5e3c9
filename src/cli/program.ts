// The command line: what may be typed, and what help says about it.

import { createRequire } from "node:module";

import { Argument, Command, CommanderError, Option } from "commander";

import { checkpointCommand, diffCommand, forkCommand, restoreCommand } from "./checkpoint-commands.ts";
import { completionScript, SHELLS, type Shell } from "./completion.ts";
import { doctorCommand } from "./doctor-command.ts";
import { addDlqCommand } from "./dlq-command.ts";
import { errorText } from "./error-text.ts";
import { eventsCommand } from "./events-command.ts";
import { EXIT, EXIT_CODES_HELP, exitCodeOfError } from "./exit-code.ts";
import { repairCommand, verifyCommand } from "./folder-commands.ts";
import { addHostCommand } from "./host-command.ts";
import { addHostsCommand } from "./hosts-command.ts";
import type { Io } from "./io.ts";
import { addNatsCommand } from "./nats-command.ts";
import { wholeNumber } from "./option-values.ts";
import { addOrchestrateCommand } from "./orchestrate-command.ts";
import { onNats } from "./nats-options.ts";
import { resumeCommand, runCommand, type ResumeFlags, type RunFlags } from "./run-command.ts";
import { sessionsCommand, showCommand, STATUSES, whyCommand } from "./session-commands.ts";
import { answerCommand, cancelCommand, pauseCommand } from "./steer-commands.ts";
import { addCheckCommand, graphCommand, validateCommand } from "./topology-commands.ts";
import { upgradeCheckCommand, type UpgradeFlags } from "./upgrade-command.ts";
import { exportCommand, importCommand, moveCommand } from "./transfer-commands.ts";

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
  orchestra events otters --store ./state --follow
      watches it from another terminal; why, pause, answer and cancel reach it there, too
  orchestra host --agents agents.ts --nats nats://127.0.0.1:4222
      serves the agents to whoever runs a topology on the same NATS; hosts, dlq, and --nats with the other commands go with it
  orchestra sessions --store ./state --status awaiting_user
  orchestra show otters --store ./state --steps
  orchestra verify ./state
  orchestra repair ./state --copy ./state-repaired
  orchestra graph team.ts > team.mmd
  orchestra validate team.yaml
  orchestra check team.yaml
  orchestra upgrade-check team.ts --store ./state
      says, before a changed team.ts is put to use, which unfinished sessions would go on with it
  orchestra doctor --store ./state

${EXIT_CODES_HELP}`;

const FILE_HELP = `
FILE is TypeScript or JavaScript with a default export (a topology, or an object of the parts), or named exports
topology, agents, conditions, options, task; or YAML or JSON that holds the topology, with --agents for the functions.`;

const LIVE_HELP = `
Works also while another process has the store open: one of the command line, or any that serves it (orchestra/control).`;

const COMPLETION_HELP = `
Examples:
  source <(orchestra completion bash)                                     in ~/.bashrc
  source <(orchestra completion zsh)                                      in ~/.zshrc, after compinit
  orchestra completion fish > ~/.config/fish/completions/orchestra.fish`;

/** Runs one command line (without the program's own name). Resolves with the exit code; never rejects. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.ok;
  const program = buildProgram(io, (ended) => (code = ended));
  let command = "";
  program.hook("preAction", (_program, action) => void (command = action.name()));
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    io.err(await errorText(error, command));
    return exitCodeOfError(error);
  }
}

/** All that may be typed. `ended` is told the exit code of the command that ran. */
export function buildProgram(io: Io, ended: (code: number) => void): Command {
  const program = new Command("orchestra")
    .description(
      "Runs teams of agents: declare who may talk to whom, hand over a task, get a result that survives crashes.",
    )
    .version(versionOfPackage(), "-V, --version", "the version of the package")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
      getOutHasColors: () => io.stdout.colours,
      getErrHasColors: () => io.stderr.colours,
    })
    .showHelpAfterError('(try "orchestra --help")')
    .addHelpText("after", EXAMPLES);

  watched(onCluster(coded(program.command("run <file>").description("run a topology on a task"))))
    .option("-t, --task <text>", "the task: text, a JSON object, @FILE, or - for standard input")
    .option(
      "-s, --session <id>",
      "name of the session; one whose run has ended goes on with the task, one that has not is for resume",
    )
    .option("--fresh", "start the session over")
    .option("-c, --context <key=value...>", "context the agents can read; JSON values are taken as such")
    .option("--max-steps <n>", "agent steps of the whole run", wholeNumber)
    .addHelpText("after", example('run team.ts --task "Write about otters" --store ./state') + FILE_HELP)
    .action(async (file: string, flags: RunFlags) => ended(await runCommand(file, flags, io)));

  watched(
    onCluster(
      coded(
        program
          .command("resume <session>")
          .description("continue a session that is paused, waits for an answer, or was interrupted"),
      ),
    ),
  )
    .option("-f, --file <file>", "the file the session was run from: its agents")
    .option("-a, --answer <text...>", "answer to the open question; with several open: question=answer")
    .option("-c, --context <key=value...>", "context to be added before it goes on")
    .addHelpText("after", example('resume otters --file team.ts --store ./state --answer "yes"'))
    .action(async (session: string, flags: ResumeFlags) => ended(await resumeCommand(session, flags, io)));

  reached(program.command("sessions").description("list the sessions of a store"))
    .addOption(new Option("--status <status>", "only those").choices(STATUSES))
    .option("--limit <n>", "at most so many (default: 100)", wholeNumber)
    .addHelpText("after", example("sessions --store ./state --status interrupted"))
    .action(async (flags) => ended(await sessionsCommand(flags, io)));

  reached(program.command("show <session>").description("show one session: status, questions, checkpoints, result"))
    .option("--steps", "list its steps, and the branches that were cancelled or timed out")
    .addHelpText("after", example("show otters --store ./state --steps"))
    .action(async (session: string, flags) => ended(await showCommand(session, flags, io)));

  reached(program.command("why <session>").description("say what a run waits for now: steps, joins, calls, questions"))
    .addHelpText("after", example("why otters --store ./state") + LIVE_HELP)
    .action(async (session: string, flags) => ended(await whyCommand(session, flags, io)));

  reached(program.command("events <session>").description("what happened in a session, an event a line"))
    .option("-f, --follow", "go on with what happens, until its run has ended")
    .option("--after <seq>", "only what came after the event of this number", wholeNumber)
    .addHelpText("after", example("events otters --store ./state --follow --json") + LIVE_HELP)
    .action(async (session: string, flags) => ended(await eventsCommand(session, flags, io)));

  reached(program.command("pause <session>").description("offer no more steps; resume continues where it stands"))
    .option("--reason <text>", "why, for whoever looks at it")
    .option("--abort", "abort the steps in flight, to be run again on resume; without it they finish")
    .addHelpText("after", example('pause otters --store ./state --reason "prices are being updated"') + LIVE_HELP)
    .action(async (session: string, flags) => ended(await pauseCommand(session, flags, io)));

  reached(program.command("cancel <session>").description("end its run for good; steps in flight are aborted"))
    .option("--reason <text>", "why, for whoever looks at it")
    .addHelpText("after", example("cancel otters --store ./state") + LIVE_HELP)
    .action(async (session: string, flags) => ended(await cancelCommand(session, flags, io)));

  reached(program.command("answer <session> <text>").description("answer an open question; - reads standard input"))
    .option("--question <id>", "which, where several are open")
    .addHelpText("after", example("answer otters yes --store ./state") + LIVE_HELP)
    .action(async (session: string, text: string, flags) => ended(await answerCommand(session, text, flags, io)));

  reached(program.command("checkpoint <session> [name]").description("pin where a session stands; prints its id"))
    .addHelpText("after", example("checkpoint otters before-review --store ./state") + LIVE_HELP)
    .action(async (session: string, name: string | undefined, flags) =>
      ended(await checkpointCommand(session, name, flags, io)),
    );

  reached(program.command("restore <checkpoint>").description("take a session back to a checkpoint; nothing is erased"))
    .addHelpText("after", example("restore cp_01k… --store ./state") + LIVE_HELP)
    .action(async (checkpoint: string, flags) => ended(await restoreCommand(checkpoint, flags, io)));

  reached(program.command("fork <checkpoint>").description("begin a new session at a checkpoint; prints its id"))
    .option("-s, --session <id>", "its name")
    .addHelpText("after", example("fork cp_01k… --session otters-again --store ./state") + LIVE_HELP)
    .action(async (checkpoint: string, flags) => ended(await forkCommand(checkpoint, flags, io)));

  reached(program.command("diff <a> <b>").description("where two histories part; each is a session or a checkpoint"))
    .addHelpText(
      "after",
      `${example("diff otters otters-again --store ./state")}\nExit code 0 when they are equal, 1 when they part.`,
    )
    .action(async (a: string, b: string, flags) => ended(await diffCommand(a, b, flags, io)));

  reached(
    program.command("export <session> [file]").description("write a session, with all that belongs to it, to a file"),
  )
    .option("--force", "write over a file that exists")
    .addHelpText("after", example("export otters otters.orchestra --store ./state") + LIVE_HELP)
    .action(async (session: string, file: string | undefined, flags) =>
      ended(await exportCommand(session, file, flags, io)),
    );

  stored(program.command("import <file>").description("take a session in from a file; prints its id"))
    .option("--as <id>", "under another id")
    .addHelpText("after", example("import otters.orchestra --store ./elsewhere --as otters-copy"))
    .action(async (file: string, flags) => ended(await importCommand(file, flags, io)));

  onNats(
    stored(
      program
        .command("move <session>")
        .description("move a session between a store and NATS, with what is nested in it"),
    ).addOption(
      new Option("--to <where>", "where it goes: bus or folder").choices(["bus", "folder"]).makeOptionMandatory(),
    ),
  )
    .addHelpText("after", example("move otters --store ./state --to bus --servers nats://127.0.0.1:4222"))
    .action(async (sessionId: string, flags) => ended(await moveCommand(sessionId, flags, io)));

  program
    .command("graph <file>")
    .description("draw the topology of a file; what is wrong with it goes to standard error, with exit code 2")
    .option("--format <format>", "mermaid or dot", "mermaid")
    .addHelpText("after", example("graph team.ts > team.mmd"))
    .action(async (file: string, flags) => ended(await graphCommand(file, flags, io)));

  program
    .command("validate <file>")
    .description("say everything that is wrong with a topology; exit code 2 when it cannot run")
    .option("--agents <file>", "check that its agents are there, too")
    .option("--json", "the problems as JSON")
    .addHelpText("after", example("validate team.yaml --agents agents.ts"))
    .action(async (file: string, flags) => ended(await validateCommand(file, flags, io)));
  addCheckCommand(program, io, ended);

  coded(
    program
      .command("upgrade-check <file>")
      .description("say which unfinished sessions of a store would go on with this file; exit code 1 unless all would"),
  )
    .option("--from <hash...>", "only sessions of these topologies")
    .addHelpText("after", example("upgrade-check team.ts --store ./state") + FILE_HELP)
    .action(async (file: string, flags: UpgradeFlags) => ended(await upgradeCheckCommand(file, flags, io)));

  program
    .command("verify <dir>")
    .description("check every record of a store that nothing has open; exit code 4 when something is damaged or lost")
    .option("--json", "the report as JSON")
    .addHelpText("after", example("verify ./state"))
    .action(async (dir: string, flags) => ended(await verifyCommand(dir, flags, io)));

  program
    .command("repair <dir>")
    .description("save what can be proved good of a damaged store; exit code 4 when something was lost")
    .requiredOption("--copy <newdir>", "a new folder; the original is only read")
    .option("--json", "the report as JSON")
    .addHelpText("after", example("repair ./state --copy ./state-repaired"))
    .action(async (dir: string, flags) => ended(await repairCommand(dir, flags, io)));

  stored(program.command("doctor").description("look at what orchestra stands on, and at a store; say how to mend it"))
    .addHelpText("after", `${example("doctor --store ./state")}\nExit code 1 when something is wrong.`)
    .action(async (flags) => ended(await doctorCommand(flags, io)));

  addOrchestrateCommand(program, io, ended);
  addNatsCommand(program, io, ended);
  addHostCommand(program, io, ended);
  addHostsCommand(program, io, ended);
  addDlqCommand(program, io, ended);

  program
    .command("completion")
    .addArgument(new Argument("<shell>", "whose").choices(SHELLS))
    .description("print a script that completes commands and options in a shell")
    .addHelpText("after", COMPLETION_HELP)
    .action((shell: Shell) => io.out(completionScript(program, shell)));

  return program;
}

function example(line: string): string {
  return `\nExample:\n  orchestra ${line}\n`;
}

function stored(command: Command): Command {
  return command
    .option("--store <dir>", "folder of the store (or the variable ORCHESTRA_STORE)")
    .option("--json", "everything as JSON on standard output");
}

/** In a store, or on NATS. */
function reached(command: Command): Command {
  return onCluster(stored(command));
}

function onCluster(command: Command): Command {
  return command.option("--nats <urls>", "sessions of hosts: addresses of NATS (or the variable ORCHESTRA_NATS)");
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
