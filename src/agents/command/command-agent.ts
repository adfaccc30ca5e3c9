// Command agent
//
// Owns:      one program per step: what it is given, what of its end is recorded, and that it is never running twice.
// Crossing:  run() → once("command") → runProcess() → CommandResult → the step's value.
//
// K1  A result that does not fail the step is journalled: a re-run of the step gets it and starts nothing.
// K2  An attempt begins when nothing of an earlier attempt of its step is left on this machine.
// K3  Secrets are masked before anything leaves this file: chunks, log lines, results, errors.

import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";

import { systemClock, type Clock } from "../../base/clock.ts";
import { errorToData } from "../../base/error-data.ts";
import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext } from "../../runtime/agent.ts";
import { agentFields } from "../agent-fields.ts";
import { defineAgent, type DefinedAgent } from "../define-agent.ts";
import {
  assertCommandOptions,
  DEFAULT_COMMAND_OPTIONS,
  resolved,
  secretMask,
  type CommandAgentOptions,
} from "./command-options.ts";
import { exitFailure, meaningOf, type CommandResult } from "./command-result.ts";
import { DEFAULT_INHERITED, inherited, inheritedSecrets } from "./environment.ts";
import { killMarked, MARK } from "./marked-processes.ts";
import { OutputCapture } from "./output-capture.ts";
import { runProcess, type ProcessEnd } from "./process-group.ts";
import type { SecretMask } from "./secret-mask.ts";

/** A piece of what the program writes, as it is written; secrets masked. */
export interface CommandChunk {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** Beyond the program's own limit, the runtime's comes only if ours fails. */
const SLACK_MS = 10_000;

/**
 * An agent that runs a program, without a shell, in a process group of its own; its output is shown as chunks.
 *
 * A step fails with `ORCH_COMMAND_FAILED` when the program cannot be started or ends in a way that is not `ok`, with
 * `ORCH_TIMEOUT` after `timeoutMs`, with `ORCH_INVALID_OUTPUT` when what it wrote is not the JSON that was asked for.
 * Needs process groups: Linux, macOS and other POSIX systems.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`
 */
export function commandAgent(options: CommandAgentOptions): DefinedAgent {
  assertCommandOptions(options);
  const { timeoutMs } = options;
  const { killGraceMs = DEFAULT_COMMAND_OPTIONS.killGraceMs } = options;
  const clock = options.clock ?? systemClock();
  const attempts = new Map<string, Promise<unknown>>();
  return defineAgent({
    ...agentFields(options),
    ...(timeoutMs !== undefined && { timeoutMs: timeoutMs === false ? false : timeoutMs + killGraceMs + SLACK_MS }),
    run: async (given: unknown, ctx) => {
      const result = await ctx.once("command", () =>
        afterEarlier(attempts, ctx, () => runOnce(options, clock, given, ctx)),
      );
      return valueOf(options, result, ctx);
    },
  });
}

/** K2, within this process: an attempt that was given up may still be ending. */
async function afterEarlier<T>(
  attempts: Map<string, Promise<unknown>>,
  { idempotencyKey }: AgentContext,
  run: () => Promise<T>,
): Promise<T> {
  const earlier = attempts.get(idempotencyKey);
  const own = (async () => {
    await earlier;
    return run();
  })();
  const over = own.catch(() => undefined);
  attempts.set(idempotencyKey, over);
  try {
    return await own;
  } finally {
    if (attempts.get(idempotencyKey) === over) attempts.delete(idempotencyKey);
  }
}

async function runOnce(
  options: CommandAgentOptions,
  clock: Clock,
  input: unknown,
  ctx: AgentContext,
): Promise<CommandResult> {
  const { name, command } = options;
  if (process.platform === "win32")
    throw new OrchestraError(
      "ORCH_COMMAND_FAILED",
      `agent "${name}": commands need process groups, which Windows has not`,
    );
  const secretEnv = secretEnvironment(options, input, ctx);
  const secrets = [...Object.values(secretEnv), ...(resolved(options, "secrets", input, ctx) ?? [])];
  const mask = secretMask(secrets, name);
  const args = resolved(options, "args", input, ctx) ?? [];
  const cwd = await checkedFolder(options, resolved(options, "cwd", input, ctx));
  const mark = await markOf(ctx);
  const shown = mask.mask([command, ...args].join(" ")).slice(0, 500);
  const log = ctx.logger.child({ command: shown });
  const streams = { stdout: outputOf("stdout"), stderr: outputOf("stderr") };
  function outputOf(stream: CommandChunk["stream"]): Output {
    return new Output(options.outputBytesMax ?? DEFAULT_COMMAND_OPTIONS.outputBytesMax, mask, (text) =>
      ctx.emit({ stream, text } satisfies CommandChunk),
    );
  }
  let end: ProcessEnd;
  try {
    end = await runProcess({
      program: command,
      args,
      cwd,
      env: {
        ...inherited(options.inherit ?? DEFAULT_INHERITED),
        ...resolved(options, "env", input, ctx),
        ...secretEnv,
        [MARK]: mark,
      },
      stdin: stdinOf(options, input, ctx),
      timeoutMs: options.timeoutMs ?? false,
      killGraceMs: options.killGraceMs ?? DEFAULT_COMMAND_OPTIONS.killGraceMs,
      signal: ctx.signal,
      clock,
      mark,
      onOutput: (stream, bytes) => streams[stream].write(bytes),
      onStarted: (pid) => log.debug({ pid }, "command started"),
    });
  } catch (error) {
    // Not the error itself: Node keeps the arguments in it.
    const { code, message } = errorToData(error);
    throw new OrchestraError(
      "ORCH_COMMAND_FAILED",
      `agent "${name}": ${shown} could not be started: ${mask.mask(message)}`,
      { details: { reason: code } },
    );
  }
  const { exitCode, signal, tookMs, by } = end;
  const [stdout, stderr] = [streams.stdout.end(), streams.stderr.end()];
  const result = {
    exitCode,
    signal,
    stdout,
    stderr,
    tookMs,
    truncated: streams.stdout.truncated || streams.stderr.truncated,
  };
  log.debug({ exitCode, signal, tookMs, by, truncated: result.truncated }, "command ended");
  if (by === "abort") throw new OrchestraError("ORCH_CANCELLED", `agent "${name}": ${shown} was cancelled`);
  if (by === "timeout")
    throw new OrchestraError(
      "ORCH_TIMEOUT",
      `agent "${name}": ${shown} took longer than ${String(options.timeoutMs)} ms and was ended`,
      { details: { stdout: stdout.slice(-2_000), stderr: stderr.slice(-2_000) } },
    );
  const meaning = meaningOf(result, options.exitCodes ?? {});
  if (meaning === "fail" || meaning === "retry") throw exitFailure(name, shown, result, meaning === "retry");
  return meaning === "ok" && options.value === "json" ? withCheckedJson(name, shown, result, mask) : result;
}

/** Not recorded when it is none: then a retry runs the command again. */
function withCheckedJson(agent: string, shown: string, result: CommandResult, mask: SecretMask): CommandResult {
  const refuse = (why: string): OrchestraError =>
    new OrchestraError(
      "ORCH_INVALID_OUTPUT",
      `agent "${agent}": ${shown}: standard output is not the JSON expected: ${why}`,
    );
  if (result.truncated) throw refuse("it is longer than outputBytesMax");
  let value: unknown;
  try {
    value = JSON.parse(result.stdout);
  } catch (error) {
    throw refuse(errorToData(error).message);
  }
  // JSON can spell a secret in ways that no search in its text finds.
  const masked = mask.maskValue(value);
  return masked === value ? result : { ...result, stdout: JSON.stringify(masked) };
}

/** One stream of the program: bytes in, masked text out, as chunks and for the result. */
class Output {
  readonly #decoder = new TextDecoder();
  readonly #masked;
  readonly #kept: OutputCapture;
  readonly #show: (text: string) => void;

  constructor(bytesMax: number, mask: SecretMask, show: (text: string) => void) {
    this.#masked = mask.stream();
    this.#kept = new OutputCapture(bytesMax);
    this.#show = show;
  }

  get truncated(): boolean {
    return this.#kept.truncated;
  }

  write(bytes: Uint8Array): void {
    this.#give(this.#masked.write(this.#decoder.decode(bytes, { stream: true })));
  }

  end(): string {
    this.#give(this.#masked.write(this.#decoder.decode()) + this.#masked.end());
    return this.#kept.text();
  }

  #give(text: string): void {
    if (text === "") return;
    this.#kept.write(text);
    this.#show(text);
  }
}

/**
 * Names the step in the environment of what it starts. K2, across processes: where the journal has it already, an attempt
 * was begun before, by a process that may have died and left something running here.
 */
async function markOf(ctx: AgentContext): Promise<string> {
  const own = `${ctx.runId}/${ctx.idempotencyKey}`;
  const begun = { now: false };
  const mark = await ctx.once("command:begun", () => {
    begun.now = true;
    return own;
  });
  if (begun.now) return mark;
  const killed = await killMarked(mark);
  if (killed > 0)
    ctx.logger.warn({ processes: killed }, "what an earlier attempt of this step had left running was killed");
  return mark;
}

function secretEnvironment(
  options: CommandAgentOptions,
  input: unknown,
  ctx: AgentContext,
): Readonly<Record<string, string>> {
  const given = resolved(options, "secretEnv", input, ctx);
  if (given === undefined) return {};
  return isNames(given) ? inheritedSecrets(given, options.name) : given;
}

function isNames(given: readonly string[] | Readonly<Record<string, string>>): given is readonly string[] {
  return Array.isArray(given);
}

function stdinOf(options: CommandAgentOptions, input: unknown, ctx: AgentContext): string | Uint8Array | undefined {
  const given: unknown = options.stdin === undefined ? input : resolved(options, "stdin", input, ctx);
  if (given === null || given === undefined) return undefined;
  return typeof given === "string" || given instanceof Uint8Array ? given : JSON.stringify(given);
}

/** @throws {OrchestraError} `ORCH_INVALID_INPUT` when it is no folder, or lies outside. */
async function checkedFolder(
  { name, cwdWithin }: CommandAgentOptions,
  cwd: string | undefined,
): Promise<string | undefined> {
  if (cwd === undefined && cwdWithin === undefined) return undefined;
  const folder = resolve(cwdWithin ?? ".", cwd ?? ".");
  const refuse = (what: string): OrchestraError =>
    new OrchestraError("ORCH_INVALID_INPUT", `agent "${name}": cwd: "${folder}" ${what}`);
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) throw refuse("does not exist");
  if (!found.isDirectory()) throw refuse("is no folder");
  if (cwdWithin === undefined) return folder;
  const [real, root] = [await realpath(folder), await realpath(cwdWithin)];
  const below = relative(root, real);
  if (below === ".." || below.startsWith(`..${sep}`) || isAbsolute(below)) throw refuse(`is outside of "${cwdWithin}"`);
  return real;
}

function valueOf(options: CommandAgentOptions, result: CommandResult, ctx: AgentContext): unknown {
  const meaning = meaningOf(result, options.exitCodes ?? {});
  if (typeof meaning === "function") return meaning(result, ctx);
  switch (options.value ?? DEFAULT_COMMAND_OPTIONS.value) {
    case "result":
      return result;
    case "text":
      return result.stdout.replace(/\r?\n$/, "");
    case "json":
      return JSON.parse(result.stdout) as unknown;
  }
}
