// `orchestrate` and `mcp`: what may be typed about runs that loop until their checks pass.

import { Option, type Command } from "commander";

import type { Io } from "./io.ts";
import { port, positive, wholeNumber } from "./option-values.ts";
import { mcpCommand, type McpFlags } from "./mcp-command.ts";
import { addMemoryCommands } from "./memory-command.ts";
import { cancelRunCommand, runEventsCommand, statusCommand } from "./orchestrate-look.ts";
import { resumeRunCommand, startCommand, type OrchestrateFlags, type StartFlags } from "./orchestrate-start.ts";

const HELP = `
Examples:
  orchestra orchestrate start team.ts --task "Mend the failing tests" --tests --max-iterations 5 --store ./state
  orchestra orchestrate start team.ts --task @card.md --lint "npx eslint src" --allow src --forbid src/generated --tokens 200000
  orchestra orchestrate status --store ./state
  orchestra orchestrate events run_01k… --store ./state --follow

Exit code 0 only when the run converged.`;

export function addOrchestrateCommand(program: Command, io: Io, ended: (code: number) => void): void {
  const orchestrate = program
    .command("orchestrate")
    .description("run a team again and again until its checks pass, within a budget")
    .addHelpText("after", HELP);

  team(orchestrate.command("start <file>").description("begin a run and follow it to its end"))
    .option("-t, --task <text>", "what is to be done: text, @FILE, or - for standard input")
    .option("--run <id>", "name of the run (default: a new id)")
    .option("--max-iterations <n>", "default: 5", wholeNumber)
    .option("--max-duration <seconds>", "of the whole run", positive)
    .option("--tokens <n>", "of the whole run", wholeNumber)
    .option("--cost <usd>", "of the whole run", positive)
    .option("--lint [command]", "check: the command, without a shell (default: npm run lint)")
    .option("--typecheck [command]", "check: the command (default: npm run typecheck)")
    .option("--tests [command]", "check: the command (default: npm test)")
    .option("--criterion <name...>", "check: criteria of FILE's orchestrator")
    .option("--accept <text...>", "acceptance criteria, for FILE's acceptance agent")
    .option("--allow <path...>", "nothing else below --cwd may change")
    .option("--forbid <path...>", "what may not change")
    .option("--cwd <dir>", "where commands run and files are looked at (default: here)")
    .addOption(
      new Option("--strategy <name>", "for a FILE without a topology").choices([
        "parallel",
        "sequential",
        "adaptive",
        "balanced",
      ]),
    )
    .addOption(new Option("--priority <name>", "told to agents").choices(["low", "medium", "high", "critical"]))
    .option(
      "--recall <n>",
      "hand the team so many entries that earlier runs left, from the memory of FILE's orchestrator",
      wholeNumber,
    )
    .option("--provenance <key=value...>", "project, cardId, agent and the like")
    .action(async (file: string, flags: StartFlags) => ended(await startCommand(file, flags, io)));

  team(
    orchestrate.command("resume <file> <run>").description("go on with a run that stands still or was interrupted"),
  ).action(async (file: string, run: string, flags: OrchestrateFlags) =>
    ended(await resumeRunCommand(file, run, flags, io)),
  );

  kept(orchestrate.command("status [run]").description("where a run stands, or all runs of a store")).action(
    async (run: string | undefined, flags) => ended(await statusCommand(run, flags, io)),
  );

  kept(orchestrate.command("events <run>").description("what a run has told, an event a line"))
    .option("-f, --follow", "go on with what happens, until the run has ended")
    .option("--after <seq>", "only what came after the event of this number", wholeNumber)
    .action(async (run: string, flags) => ended(await runEventsCommand(run, flags, io)));

  kept(orchestrate.command("cancel <run>").description("end a run for good"))
    .option("--reason <text>", "why, for whoever looks at it")
    .action(async (run: string, flags) => ended(await cancelRunCommand(run, flags, io)));

  addMemoryCommands(orchestrate, io, ended);

  placed(
    program
      .command("mcp <file>")
      .description("serve runs, and memory, to clients of the Model Context Protocol on standard input and output"),
  )
    .option("--agents <file>", "TypeScript or JavaScript file whose exports are the agents")
    .option("--log <level>", "structured log lines on standard error: debug, info, warn, error")
    .option("--http <port>", "by HTTP on this port instead, at /mcp", port)
    .option("--address <address>", "where that listens (default: 127.0.0.1, this machine only)")
    .addHelpText("after", `\nExample:\n  orchestra mcp team.ts --store ./state\n`)
    .action(async (file: string, flags: McpFlags) => ended(await mcpCommand(file, flags, io)));
}

function placed(command: Command): Command {
  return command
    .option("--store <dir>", "folder of the store (or the variable ORCHESTRA_STORE)")
    .option("--nats <urls>", "runs of hosts: addresses of NATS (or the variable ORCHESTRA_NATS)");
}

function kept(command: Command): Command {
  return placed(command).option("--json", "everything as JSON on standard output");
}

function team(command: Command): Command {
  return kept(command)
    .option("--agents <file>", "TypeScript or JavaScript file whose exports are the agents")
    .option("-q, --quiet", "no progress")
    .option("--log <level>", "structured log lines on standard error: debug, info, warn, error");
}
