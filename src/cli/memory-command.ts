// `orchestrate memory`: what may be typed about what runs remember.

import { Option, type Command } from "commander";

import type { Io } from "./io.ts";
import {
  deleteMemoryCommand,
  listMemoryCommand,
  memoryStatsCommand,
  reembedMemoryCommand,
  searchMemoryCommand,
  seedMemoryCommand,
} from "./memory-actions.ts";
import { finite, fraction, wholeNumber } from "./option-values.ts";

const HELP = `
Examples:
  orchestra orchestrate memory search "retry" --project shop --top 5 --memory ./memory
  orchestra orchestrate memory list --memory ./memory
  orchestra orchestrate memory stats --file team.ts
  orchestra orchestrate memory delete 5f0c… --memory ./memory
  orchestra orchestrate memory seed run-2 "prices are in cents" --file team.ts --store ./state
  orchestra orchestrate memory reembed --file team.ts

A folder alone is read with the embedder that needs no model; --file brings the one of its orchestrator.
One process has a memory at a time.`;

export function addMemoryCommands(orchestrate: Command, io: Io, ended: (code: number) => void): void {
  const memory = orchestrate
    .command("memory")
    .description("what runs remember: search it, list it, seed a run, delete")
    .addHelpText("after", HELP);

  narrowed(
    scoped(kept(memory.command("search <query>").description("what fits a text best, with where it comes from"))),
  )
    .option("--tag <tag...>", "only entries with all of these")
    .option("--top <n>", "at most so many (default: 10)", wholeNumber)
    .option("--min-quality <n>", "only entries that were judged at least this good", finite)
    .addOption(
      new Option("--mode <mode>", "by vectors and words together, or by one of them (default: hybrid)").choices([
        "hybrid",
        "vector",
        "words",
      ]),
    )
    .option("--diversity <n>", "0 to 1: rather take what differs from what was taken (default: 0)", fraction)
    .action(async (query: string, flags) => ended(await searchMemoryCommand(query, flags, io)));

  narrowed(scoped(kept(memory.command("list").description("the entries of a scope, or of all, oldest first"))))
    .option("--limit <n>", "at most so many (default: 100)", wholeNumber)
    .action(async (flags) => ended(await listMemoryCommand(flags, io)));

  kept(memory.command("stats").description("how much it holds, for whom, and by which embedder")).action(
    async (flags) => ended(await memoryStatsCommand(flags, io)),
  );

  scoped(kept(memory.command("delete [id...]").description("forget entries for good, by their ids or by their scope")))
    .option("--namespace <name>", "of the scope, only this namespace")
    .option("--yes", "all that the scope holds")
    .action(async (ids: string[], flags) => ended(await deleteMemoryCommand(ids, flags, io)));

  kept(
    memory.command("reembed").description("make all vectors anew, by the embedder of FILE or the one without a model"),
  )
    .option("-q, --quiet", "no progress")
    .action(async (flags) => ended(await reembedMemoryCommand(flags, io)));

  memory
    .command("seed <run> <entry...>")
    .description("what a run is to know from the start: texts, or @FILE or - with a JSON array of entries")
    .requiredOption("-f, --file <file>", "the file whose orchestrator has the memory")
    .option("--agents <file>", "TypeScript or JavaScript file whose exports are the agents")
    .option("--namespace <name>", "of texts (default: default)")
    .option("--store <dir>", "folder of the store (or the variable ORCHESTRA_STORE)")
    .option("--nats <urls>", "runs of hosts: addresses of NATS (or the variable ORCHESTRA_NATS)")
    .option("--json", "everything as JSON on standard output")
    .action(async (run: string, entries: string[], flags) => ended(await seedMemoryCommand(run, entries, flags, io)));
}

function kept(command: Command): Command {
  return command
    .option("--memory <dir>", "folder of the memory (or the variable ORCHESTRA_MEMORY)")
    .option("-f, --file <file>", "the file whose orchestrator has the memory")
    .option("--json", "everything as JSON on standard output");
}

function scoped(command: Command): Command {
  return command
    .option("--run <id>", "scope: of a run")
    .option("--session <id>", "scope: of a session")
    .option("--project <name>", "scope: of a project")
    .option("--global", "scope: what belongs to everybody");
}

function narrowed(command: Command): Command {
  return command.option("--namespace <name...>", "only these (default: all)");
}
