// npm run demo:fix

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LevelStorage, StateManager } from "orchestra";
import { createOrchestrator, type OrchestratorEvent } from "orchestra/orchestrator";
import { startRepository } from "./commit.ts";
import type { ModelOptions } from "../research-desk/model.ts";
import { team } from "./team.ts";

const HELP = `Usage: npm run demo:fix -- [options]

A team mends a small project until its tests pass.

  --model NAME      the fixer is a model; with --base-url
  --base-url URL    where it is, by OpenAI's protocol (Ollama: http://127.0.0.1:11434/v1)
  --key-from VAR    the environment variable with its key, where it needs one
  --iterations N    at most so many (default 5)
  --keep            leaves the mended project where it is, and says where
  --help            this page`;

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    "base-url": { type: "string" },
    "key-from": { type: "string" },
    iterations: { type: "string", default: "5" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
process.exitCode = values.help ? (console.log(HELP), 0) : await mend();

async function mend(): Promise<number> {
  const place = await mkdtemp(join(tmpdir(), "fix-until-green-"));
  const cwd = join(place, "project");
  await cp(fileURLToPath(new URL("./project", import.meta.url)), cwd, { recursive: true });
  await startRepository(cwd);
  try {
    await using orchestrator = createOrchestrator({
      ...(await team(modelOptions())),
      stateManager: new StateManager({ storage: new LevelStorage(join(place, "runs")) }),
    });
    const { runId, result } = orchestrator.startRun({
      description: "Make the tests of this project pass.",
      cwd,
      allowedPaths: ["src"],
      loopPolicy: { maxIterations: Number(values.iterations), successCriteria: { tests: true } },
    });
    for await (const event of orchestrator.subscribeRunEvents(runId)) tell(event);
    const { reason, iterations, output } = await result;
    const { commits } = await orchestrator.getRunArtifacts(runId);
    for (const { sha, message } of commits) console.log(`  ${sha.slice(0, 7)} ${message}`);
    console.log(`${reason} after ${iterations} iterations; last: ${String(output)}`);
    return reason === "converged" ? 0 : 1;
  } finally {
    if (values.keep) console.log(`the project is in ${cwd}`);
    else await rm(place, { recursive: true, force: true });
  }
}

function tell(event: OrchestratorEvent): void {
  if (event.type === "iteration.started") console.log(`iteration ${event.payload.iteration}`);
  if (event.type === "check.passed") console.log(`  ${event.payload.name}: passed`);
  if (event.type === "check.failed") {
    const failing = event.payload.output.split("\n").filter((line) => /^(not ok|✖) .*\w/.test(line));
    console.log(`  ${event.payload.name}: failed`);
    for (const line of new Set(failing)) console.log(`    ${line}`);
  }
}

function modelOptions(): ModelOptions | undefined {
  const { model: name, "base-url": baseUrl, "key-from": keyFrom } = values;
  if (name === undefined && baseUrl === undefined) return undefined;
  if (name === undefined || baseUrl === undefined) throw new TypeError("--model and --base-url go together");
  return { name, baseUrl, ...(keyFrom !== undefined && { keyFrom }) };
}
