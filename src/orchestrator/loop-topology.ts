// Loop topology
//
// Every run is a session of this one topology: `loop` decides and calls, the others do. The team's own topology is a nested
// run of each `team` step.
//
// T1  What a step needs of the run stands in the session's task or in the state of `loop`: nothing of it is lost with a process.
// T2  Outcomes of `prepare`, `record` and `check` and the run's end stay small, so that events show them whole.

import { next, type AgentContext, type ArrivalValue } from "../runtime/agent.ts";
import type { AgentLike } from "../runtime/agent-source.ts";
import { Topology } from "../runtime/topology.ts";
import { listFiles, type FileList } from "./changed-files.ts";
import type { CheckResult } from "./check-result.ts";
import { makeCheck, type CheckPorts, type CheckTask } from "./checks.ts";
import { decideNext, LOOP_START, type LoopAction, type LoopReply, type LoopState, type TeamOutcome } from "./loop.ts";
import { beginningOf, fitting } from "./event-room.ts";
import { commitsSince, headOf } from "./git-history.ts";
import type { MemoryKey, Prepared, Recorded, RunEnd, Searches } from "./run-events.ts";
import { DEFAULT_NAMESPACE, type RunSpec, type SeededEntry } from "./run-spec.ts";
import type { TeamMemory } from "./team-memory.ts";
import { iterationTask, runTeam, type IterationTask, type Team } from "./team.ts";

export const LOOP_TOPOLOGY = new Topology({
  nodes: ["loop", "prepare", "files", "team", "record", "check"],
  edges: ["loop <-> prepare", "loop <-> files", "loop <-> team", "loop <-> record", "loop <-> check"],
  entryPoint: "loop",
});
/** Sessions of this topology are runs. */
export function isRunTopology(hash: string | null): boolean {
  return hash === LOOP_TOPOLOGY.hash;
}

export interface LoopPorts extends CheckPorts {
  readonly team: Team;
  /** Absent: runs have no memory. */
  readonly memory?: TeamMemory;
  /** What the run has learned, all of it. */
  learned(runId: string): Promise<readonly MemoryKey[]>;
}

export function loopAgents(ports: LoopPorts): Readonly<Record<string, AgentLike>> {
  return {
    loop: (_input: unknown, ctx: AgentContext) => loop(ctx),
    prepare: (_input: unknown, ctx: AgentContext) => prepare(ctx),
    files: (_input: unknown, ctx: AgentContext): Promise<FileList> => listFiles(specOf(ctx).cwd),
    team: {
      timeoutMs: false,
      run: (task: unknown, ctx: AgentContext): Promise<TeamOutcome> => goOfTeam(ports, task as IterationTask, ctx),
    },
    record: (left: unknown, ctx: AgentContext) => record(ports, left as ToRecord, ctx),
    check: {
      // Each check has a limit of its own.
      timeoutMs: false,
      run: (task: unknown, ctx: AgentContext): Promise<CheckResult> =>
        makeCheck(ports, specOf(ctx), task as CheckTask, ctx),
    },
  };
}

function loop(ctx: AgentContext): unknown {
  const spec = specOf(ctx);
  const [reply] = ctx.replies ?? [];
  if (reply === undefined) return next.invoke("prepare");
  if (reply.error !== undefined) return next.fail(reply.error);
  if (reply.from === "prepare") ctx.state.set("head", (reply.value as Prepared).head);
  if (reply.from === "prepare" && (reply.value as Prepared).more) return next.invoke("prepare");
  if (reply.from === "prepare" && spec.checks.some(({ kind }) => kind === "paths")) return next.invoke("files");
  if (reply.from === "team" && (reply.value as TeamOutcome).type === "done") {
    const { output, searched } = reply.value as TeamOutcome & { type: "done" };
    ctx.state.set("output", output);
    return next.invoke("record", toRecord(ctx, searched));
  }
  const known = noted(ctx, reply);
  if (reply.from === "record" && (reply.value as Recorded).more) return next.invoke("record", toRecord(ctx));
  const decided = decideNext(spec, ctx.state.get<LoopState>("loop") ?? LOOP_START, known);
  ctx.state.set("loop", decided.state);
  return carriedOut(decided.action, decided.state, spec, ctx);
}

/** Keeps for later steps what the reply brought. */
function noted({ state }: AgentContext, { from, value }: ArrivalValue): LoopReply {
  switch (from) {
    case "files":
      state.set("before", value);
      return { from: "prepare" };
    case "team":
      return { from, outcome: value as TeamOutcome };
    case "record": {
      const { commits } = value as Recorded;
      const last = commits.at(-1);
      if (last !== undefined) state.set("head", last.sha);
      return { from: "team", outcome: { type: "done" } };
    }
    case "check":
      return { from, result: value as CheckResult };
    default:
      return { from: "prepare" };
  }
}

function carriedOut(
  action: LoopAction,
  { checks }: LoopState,
  spec: RunSpec,
  { sessionId, state }: AgentContext,
): unknown {
  switch (action.type) {
    case "team":
      return next.invoke("team", iterationTask(sessionId, spec, action));
    case "check": {
      const { iteration, index } = action;
      const before = state.get<FileList>("before");
      const task: CheckTask = {
        runId: sessionId,
        iteration,
        index,
        output: state.get("output") ?? null,
        checks,
        ...(before !== undefined && { before }),
      };
      return next.invoke("check", task);
    }
    case "converged":
      return next.final({ reason: "converged" } satisfies RunEnd);
    case "exhausted":
      return next.final({ reason: "budget_exhausted", budget: action.budget } satisfies RunEnd);
    case "failed":
      return next.fail(action.error);
  }
}

/** T2 */
async function prepare(ctx: AgentContext): Promise<Prepared> {
  const { description, seeds, recalled, checks, maxIterations, cwd } = specOf(ctx);
  const seeded = keysOf(seeds);
  const found = keysOf(recalled ?? []);
  const from = ctx.state.get<number>("prepared") ?? 0;
  const to = from + fitting([...seeded, ...found].slice(from));
  ctx.state.set("prepared", to);
  const page = found.slice(Math.max(0, from - seeded.length), Math.max(0, to - seeded.length));
  return {
    description: beginningOf(description),
    seeded: seeded.slice(from, to),
    ...(recalled !== undefined && (page.length > 0 || found.length === 0) && { recalled: page }),
    checks: checks.map(({ name }) => name),
    maxIterations,
    head: await headOf(cwd),
    more: to < seeded.length + found.length,
  };
}

async function goOfTeam({ team, memory }: LoopPorts, task: IterationTask, ctx: AgentContext): Promise<TeamOutcome> {
  const spec = specOf(ctx);
  const go = (): Promise<TeamOutcome> => runTeam(team, spec, task, ctx);
  if (memory === undefined) return go();
  const { value, searches } = await memory.during(ctx, spec, go);
  return searches.shown.length === 0 ? value : { ...value, searched: searches };
}

interface ToRecord {
  /** The last commit that was known before. */
  readonly head: string | null;
  /** For the first page. */
  readonly searched?: Searches;
}

function toRecord({ state }: AgentContext, searched?: Searches): ToRecord {
  return { head: state.get<string | null>("head") ?? null, ...(searched !== undefined && { searched }) };
}

/** T2 */
async function record({ learned }: LoopPorts, { head, searched }: ToRecord, ctx: AgentContext): Promise<Recorded> {
  const told = ctx.state.get<number>("told") ?? 0;
  const news = [
    ...(head === null ? [] : await commitsSince(specOf(ctx).cwd, head)).map((commit) => ({ commit })),
    ...(await learned(ctx.sessionId)).slice(told).map((key) => ({ key })),
  ];
  const page = news.slice(0, fitting(news));
  const keys = page.flatMap((one) => ("key" in one ? [one.key] : []));
  ctx.state.set("told", told + keys.length);
  return {
    commits: page.flatMap((one) => ("commit" in one ? [one.commit] : [])),
    learned: keys,
    ...(searched !== undefined && { searched }),
    more: page.length < news.length,
  };
}

function keysOf(entries: readonly SeededEntry[]): readonly MemoryKey[] {
  return entries.map(({ key, namespace = DEFAULT_NAMESPACE }, i) => ({ key: key ?? String(i + 1), namespace }));
}

function specOf({ task }: AgentContext): RunSpec {
  return task as RunSpec;
}
