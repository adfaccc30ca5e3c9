// What nested runs once got wrong. Each test opens with the root cause.

import { describe, expect, it } from "vitest";
import { memoryStorage, next, OrchestraInstance, StateManager } from "orchestra";

const ONE_NODE = { nodes: ["A"], edges: [] };
const INNER = { nodes: ["M"], edges: [] };
const RETRY_AT_ONCE = { retry: { transient: { initialDelayMs: 1, maxDelayMs: 1 } } };

type Agent = (input: any, ctx: any) => unknown;

const nested = (ctx: any, task: unknown, M: Agent, topology: unknown = INNER): Promise<any> =>
  ctx.run({ task, topology, agents: { M } });
const refused = (): Error => Object.assign(new Error("again"), { code: "ECONNRESET" });

function instanceOn(storage: ReturnType<typeof memoryStorage>, A: Agent, more: object = {}): OrchestraInstance {
  return new OrchestraInstance({
    topology: ONE_NODE,
    agents: { A },
    stateManager: new StateManager({ storage }),
    ...more,
  });
}

async function listed(instance: OrchestraInstance): Promise<Record<string, string>> {
  const sessions = await instance.listSessions();
  return Object.fromEntries(
    sessions.map((entry: any) => [entry.parentSessionId === undefined ? entry.sessionId : "nested", entry.status]),
  );
}

describe("a session that is deleted", () => {
  // Only the one entry was removed, and a nested run was found again by name and topology alone.
  it("takes its nested sessions with it, and a new one of its name starts over", async () => {
    const calls: string[] = [];
    const M: Agent = (y) => {
      calls.push(y);
      return `did ${y}`;
    };
    await using instance = instanceOn(memoryStorage(), async (x, ctx) => (await nested(ctx, x, M)).finalResponse);
    expect((await instance.execute({ task: "one", sessionId: "s" })).finalResponse).toBe("did one");
    expect(await instance.deleteSession("s")).toBe(true);
    expect(await instance.listSessions()).toEqual([]);
    expect((await instance.execute({ task: "two", sessionId: "s" })).finalResponse).toBe("did two");
    await instance.deleteSession("s");
    expect((await instance.execute({ task: "two", sessionId: "s" })).finalResponse).toBe("did two");
    expect(calls).toEqual(["one", "two", "two"]);
  });

  // The same, where the nested run is deep and waits for a person.
  it("does not leave an old question behind", async () => {
    const deep: Agent = (_, ctx) =>
      nested(ctx, "deep", (x, inner) => nested(inner, x, (y, c) => (c.question ? y : c.ask("sure?"))));
    await using instance = instanceOn(memoryStorage(), async (x, ctx) =>
      x === "ask" ? (await (deep(x, ctx) as any)).finalResponse : x,
    );
    expect((await instance.execute({ task: "ask", sessionId: "s" })).status).toBe("awaiting_user");
    await instance.cancelSession("s");
    await instance.deleteSession("s");
    expect(await instance.listSessions()).toEqual([]);
    expect((await instance.execute({ task: "ask", sessionId: "s" })).status).toBe("awaiting_user");
    expect(await instance.listSessions()).toHaveLength(3);
  });
});

describe("nested runs of a step that runs again", () => {
  // They were told apart by the order of the calls, which no agent promises to keep.
  it("are found by what they were asked, in whatever order", async () => {
    const calls: string[] = [];
    const M: Agent = (y) => {
      calls.push(y);
      return `did ${y}`;
    };
    await using instance = instanceOn(memoryStorage(), async (_, ctx) => {
      const order = ctx.attempt === 1 ? ["a", "b"] : ["b", "a"];
      const did: Record<string, unknown> = {};
      for (const task of order) did[task] = (await nested(ctx, task, M)).finalResponse;
      if (ctx.attempt === 1) throw refused();
      return [did["a"], did["b"]];
    });
    const result = await instance.execute({ task: "t", executionConfig: RETRY_AT_ONCE });
    expect(result.finalResponse).toEqual(["did a", "did b"]);
    expect(calls).toEqual(["a", "b"]);
  });

  // A re-run that asked for something else got the result of what was asked first.
  it("answer what is asked now, and equal requests of one attempt are runs of their own", async () => {
    let calls = 0;
    const M: Agent = (y) => `${y} ${++calls}`;
    await using instance = instanceOn(memoryStorage(), async (_, ctx) => {
      const first = (await nested(ctx, `attempt ${ctx.attempt}`, M)).finalResponse;
      const second = (await nested(ctx, "same", M)).finalResponse;
      const third = (await nested(ctx, "same", M)).finalResponse;
      if (ctx.attempt === 1) throw refused();
      return [first, second, third];
    });
    const result = await instance.execute({ task: "t", executionConfig: RETRY_AT_ONCE });
    expect(result.finalResponse).toEqual(["attempt 2 4", "same 2", "same 3"]);
  });
});

describe("a session of the user", () => {
  // Whatever had the name of a nested session was taken for it.
  it("is no nested run, whatever it is called", async () => {
    const ran: string[] = [];
    const A: Agent = async (x, ctx) => {
      if (x === "u") return "precious";
      return (
        await nested(
          ctx,
          x,
          (y) => {
            ran.push(y);
            return `did ${y}`;
          },
          ONE_NODE,
        )
      ).finalResponse;
    };
    await using instance = instanceOn(memoryStorage(), async (x, ctx) => A(x, ctx), { agents: { A, M: A } });
    await instance.execute({ task: "u", sessionId: "v.1.0.1" });
    const inner = { topology: INNER, agents: { M: (y: unknown) => `did ${String(y)}` } };
    await using other = instanceOn(
      memoryStorage(),
      async (x, ctx) => (await ctx.run({ task: x, ...inner })).finalResponse,
    );
    await other.execute({ task: "u", sessionId: "v.1.0.1" });
    expect((await other.execute({ task: "main", sessionId: "v" })).finalResponse).toBe("did main");
    expect((await other.getResult("v.1.0.1"))?.finalResponse).toBe("did u");
  });

  // The same: a run that was begun by hand in a nested session was continued as the nested one.
  it("that was begun where a nested run is due is refused, and left as it is", async () => {
    await using instance = instanceOn(memoryStorage(), async (x, ctx) => {
      if (x === "mine") return "precious";
      return (await nested(ctx, x, (y, inner) => (inner.question ? y : inner.ask("sure?")))).orThrow().finalResponse;
    });
    await instance.execute({ task: "t", sessionId: "s" });
    const [taken] = (await instance.listSessions()).filter((entry: any) => entry.parentSessionId !== undefined);
    await instance.execute({ task: "mine", sessionId: taken!.sessionId, fresh: true });
    const result = await instance.resumeSession("s", { userResponse: "yes" });
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "ORCH_SESSION_STATE", message: expect.stringContaining(taken!.sessionId) },
    });
    expect((await instance.getResult(taken!.sessionId))?.finalResponse).toBe("precious");
  });
});

describe("names of nested sessions", () => {
  // They grew with each level, beyond what a session id may be.
  it("fit under a long name and however deep", async () => {
    const M: Agent = async ({ depth }, ctx) =>
      depth === 0 ? "bottom" : (await ctx.run({ task: { depth: depth - 1 }, topology: INNER })).orThrow().finalResponse;
    await using instance = instanceOn(
      memoryStorage(),
      async (x, ctx) => (await nested(ctx, x, M)).orThrow().finalResponse,
    );
    const sessionId = "n".repeat(200);
    expect((await instance.execute({ task: { depth: 1 }, sessionId })).finalResponse).toBe("bottom");
    expect((await instance.execute({ task: { depth: 30 }, sessionId: "deep" })).finalResponse).toBe("bottom");
    await instance.deleteSession("deep");
    await instance.deleteSession(sessionId);
    expect(await instance.listSessions()).toEqual([]);
  });
});

describe("a nested run nobody waits for", () => {
  const slow: Agent = () => new Promise(() => undefined);

  // Nothing stopped it when its step ended, and its failure was nobody's to catch.
  it("is cancelled with the step that began it, without a word", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    const storage = memoryStorage();
    const instance = instanceOn(storage, (_, ctx) => {
      void nested(ctx, "slow", slow);
      return 5;
    });
    expect((await instance.execute({ task: "t", sessionId: "s" })).finalResponse).toBe(5);
    await instance.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    await using later = instanceOn(storage, slow);
    expect(Object.values(await listed(later))).not.toContain("running");
  });

  // The same for the loser of a race.
  it("is cancelled also when another of the step won", async () => {
    const M: Agent = (y) => (y === "fast" ? "won" : new Promise(() => undefined));
    const storage = memoryStorage();
    const instance = instanceOn(
      storage,
      async (_, ctx) =>
        (
          await Promise.race([
            nested(ctx, "slow", M),
            nested(ctx, "fast", async () => {
              await new Promise((r) => setTimeout(r, 10));
              return "won";
            }),
          ])
        ).finalResponse,
    );
    expect((await instance.execute({ task: "t", sessionId: "s" })).finalResponse).toBe("won");
    const statuses = (await instance.listSessions()).map((entry: any) => entry.status).sort();
    expect(statuses).toEqual(["cancelled", "completed", "completed"]);
    await instance.close();
  });

  // Cancelling looked only at what was live in this process.
  it("is cancelled with its parent when it waits for a person", async () => {
    await using instance = instanceOn(
      memoryStorage(),
      async (x, ctx) => (await nested(ctx, x, () => next.ask("sure?"))).finalResponse,
    );
    expect((await instance.execute({ task: "t", sessionId: "s" })).status).toBe("awaiting_user");
    await instance.cancelSession("s");
    expect(await listed(instance)).toEqual({ s: "cancelled", nested: "cancelled" });
  });

  // The same after its process ended; and recovery passed nested sessions over, so that they stayed "running".
  it("stands still with a parent that is left paused, and is cancelled with it", async () => {
    const storage = memoryStorage();
    let reached = (): void => undefined;
    const started = new Promise<void>((resolve) => (reached = resolve));
    const A: Agent = async (x, ctx) =>
      (
        await nested(ctx, x, () => {
          reached();
          return new Promise(() => undefined);
        })
      ).finalResponse;
    const instance = instanceOn(storage, A);
    const running = instance.execute({ task: "t", sessionId: "s" }).catch((error: unknown) => error);
    await started;
    await instance.close();
    await running;
    await using later = new OrchestraInstance(
      { topology: ONE_NODE, agents: { A }, stateManager: new StateManager({ storage }) },
      { recover: false },
    );
    await later.recover({ resume: false });
    expect(await listed(later)).toEqual({ s: "paused", nested: "paused" });
    await later.cancelSession("s");
    expect(await listed(later)).toEqual({ s: "cancelled", nested: "cancelled" });
  });
});

describe("an answer to a nested question", () => {
  const A: Agent = async (x, ctx) =>
    (await nested(ctx, x, (y, inner) => (inner.question ? `answered ${y}` : inner.ask("which?")))).orThrow()
      .finalResponse;

  // The step got a new name by the restore, and the open question still named the nested session of the old one.
  it("is followed after a restore, each time", async () => {
    await using instance = instanceOn(memoryStorage(), A);
    await instance.execute({ task: "t", sessionId: "s" });
    const checkpoint = await instance.createCheckpoint("s");
    for (const answer of ["1", "2", "3"]) {
      expect((await instance.resumeSession("s", { userResponse: answer })).finalResponse).toBe(`answered ${answer}`);
      await instance.restoreCheckpoint(checkpoint);
    }
  });

  // The same in a session that was forked, also where runs are nested in nested runs.
  it("is followed in a fork, also of what is nested deeper", async () => {
    const deep: Agent = async (x, ctx) => (await nested(ctx, x, A)).orThrow().finalResponse;
    await using instance = instanceOn(memoryStorage(), deep);
    await instance.execute({ task: "t", sessionId: "s" });
    const checkpoint = await instance.createCheckpoint("s");
    expect((await instance.resumeSession("s", { userResponse: "1" })).finalResponse).toBe("answered 1");
    const forked = await instance.forkCheckpoint(checkpoint);
    expect((await instance.resumeSession(forked, { userResponse: "2" })).finalResponse).toBe("answered 2");
  });
});

describe("an exported session", () => {
  const A: Agent = async (x, ctx) =>
    (await nested(ctx, x, (y, inner) => (inner.question ? `answered ${y}` : inner.ask("which?")))).orThrow()
      .finalResponse;

  // Only the one session was written down.
  it.each([undefined, "copy"])("brings what is nested in it (as %s)", async (as) => {
    const from = new StateManager({ storage: memoryStorage() });
    const to = new StateManager({ storage: memoryStorage() });
    const base = { topology: ONE_NODE, agents: { A } };
    await using source = new OrchestraInstance({ ...base, stateManager: from });
    await source.execute({ task: "t", sessionId: "s" });
    const bytes = await from.exportSession("s");
    const id = await to.importSession(bytes, as === undefined ? {} : { as });
    await using target = new OrchestraInstance({ ...base, stateManager: to });
    expect(await target.listSessions()).toHaveLength(2);
    expect((await target.resumeSession(id, { userResponse: "1" })).finalResponse).toBe("answered 1");
    await target.deleteSession(id);
    expect(await target.listSessions()).toEqual([]);
  });

  // Answers named the questions of the session it had been, so a copy of it had none of them answered.
  it("is the same run under another name, answers and all", async () => {
    const from = new StateManager({ storage: memoryStorage() });
    const base = {
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: { A, B: (x: string, ctx: any) => (ctx.question ? `B ${x}` : ctx.ask(x)) },
    };
    await using source = new OrchestraInstance({ ...base, stateManager: from });
    await source.execute({ task: "t", sessionId: "s" });
    expect((await source.resumeSession("s", { userResponse: "1" })).status).toBe("awaiting_user");
    const copy = await from.importSession(await from.exportSession("s"), { as: "copy" });
    expect((await source.resumeSession(copy, { userResponse: "2" })).finalResponse).toBe("B 2");
    expect((await source.resumeSession("s", { userResponse: "3" })).finalResponse).toBe("B 3");
  });
});
