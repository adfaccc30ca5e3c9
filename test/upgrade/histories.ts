// Representative runs whose logs are kept and replayed by every later version. Only grows: what is in a released
// version's folder stays as it was written.

import { defineAgent, next, type AgentContext, type InstanceOptions, type OrchestraInstance } from "../../src/index.ts";

type Agents = Readonly<Record<string, (input: any, ctx: AgentContext) => unknown>>;

export interface History {
  readonly name: string;
  readonly options: Partial<InstanceOptions> & Pick<InstanceOptions, "topology"> & { readonly agents: Agents };
  /** Leaves the session `SESSION` behind, or the one it resolves with. `another` makes a further instance on the same store. */
  tell(instance: OrchestraInstance, another: (options: InstanceOptions) => OrchestraInstance): Promise<unknown>;
  /** How a run that has not ended goes on. Values for `resumeSession`. */
  readonly goesOn?: { readonly userResponse?: unknown };
}

export const SESSION = "golden";

/** Without a stack: that would say where this was written. */
function failure(message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), { stack: "" }, fields);
}

/** A topology of these edges alone; `A -> B | C` is two of them. */
function team(...chains: string[]): { nodes: string[]; edges: string[] } {
  const edges = chains.flatMap(fan);
  return { nodes: [...new Set(chains.flatMap((chain) => chain.match(/\w+/g) ?? []))], edges };
}

function fan(chain: string): string[] {
  const [left = "", right] = chain.split(" -> ");
  if (right === undefined) return chain.includes(" ") ? [chain] : [];
  return left.split(" | ").flatMap((from) => right.split(" | ").map((to) => `${from} -> ${to}`));
}

const pausing = new Map<string, () => void>();
const upper = (text: string): string => String(text).toUpperCase();
const run = (instance: OrchestraInstance, task: string | Record<string, unknown> = "otters"): Promise<unknown> =>
  instance.execute(task, { sessionId: SESSION });
const hang = (_input: unknown, { signal }: AgentContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

/** Begins a run; resolves once a step at `node` has succeeded in it. */
async function runUntil(instance: OrchestraInstance, node: string): Promise<{ readonly result: Promise<unknown> }> {
  const handle = instance.stream("otters", { sessionId: SESSION });
  for await (const event of handle) if (event.type === "step.succeeded" && event.node === node) break;
  return { result: handle.result };
}

const EARLIER = team("F -> A | User", "A | User -> J");

export const HISTORIES: readonly History[] = [
  {
    name: "pipeline",
    options: {
      topology: team("Research -> Draft", "Draft -> Polish"),
      agents: { Research: (x) => ({ facts: [x, 2] }), Draft: ({ facts }) => facts.join(" and "), Polish: upper },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "hub",
    options: {
      topology: team("Hub <-> Left", "Hub <-> Right"),
      agents: {
        Hub: (x, ctx) =>
          ctx.replies ? ctx.replies.map((reply) => ("value" in reply ? reply.value : null)) : `ask ${x}`,
        Left: (x) => `left ${x}`,
        Right: (x) => `right ${x}`,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "fork-join-quorum",
    options: {
      topology: {
        nodes: ["Fork", "A", "B", "C", { name: "Join", convergencePolicy: { quorum: 2 } }],
        edges: fan("Fork -> A | B | C").concat(fan("A | B | C -> Join")),
      },
      agents: {
        Fork: (x) => x,
        A: () => {
          throw failure("A is ill", { code: "E_ILL" });
        },
        B: (x) => `b ${x}`,
        C: (x) => `c ${x}`,
        Join: (arrivals) => arrivals,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "loop",
    options: {
      topology: {
        nodes: ["Writer", "Critic", "End"],
        entryPoint: "Writer",
        edges: [
          "Writer -> Critic",
          { from: "Critic", to: "Writer", condition: "revise", maxVisits: 2 },
          { from: "Critic", to: "End", condition: "output.ok == true" },
          { from: "Critic", to: "End", else: true },
        ],
      },
      agents: { Writer: (x) => ({ text: `${x.text ?? x}!` }), Critic: ({ text }) => ({ route: "revise", text }) },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "error-edge",
    options: {
      topology: {
        nodes: ["Worker", "Medic", "Report"],
        edges: ["Worker -> Report", { from: "Worker", to: "Medic", on: "error" }, "Medic -> Report"],
      },
      initialConfig: { retry: { transient: { maxAttempts: 2, initialDelayMs: 1_000, jitter: 0 } } },
      agents: {
        Worker: () => {
          throw failure("busy", { code: "ECONNRESET" });
        },
        Medic: (x, ctx) => ({ had: x, why: ctx.error?.message }),
        Report: (x) => x,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "conversation",
    options: {
      topology: { nodes: ["Pro", "Con"], edges: ["Pro <~> Con"], rules: ["max_turns(Pro <~> Con, 3)"] },
      agents: { Pro: (x) => `pro(${x})`, Con: (x) => `con(${x})` },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "question",
    options: {
      topology: team("Clerk -> Filer"),
      agents: {
        Clerk: (x, ctx) => (ctx.question ? { name: x, asked: ctx.question.prompt } : next.ask("whose?")),
        Filer: (x) => x,
      },
    },
    tell: async (instance) => {
      await run(instance);
      await instance.resumeSession(SESSION, { userResponse: "Ada's" });
    },
  },
  {
    name: "question-open",
    options: {
      topology: team("Draft -> User", "User -> Publish", "Draft -> Archive", "Archive -> Publish"),
      agents: { Draft: (x) => `draft of ${x}`, Archive: () => "archived", Publish: (arrivals) => arrivals },
    },
    tell: (instance) => run(instance),
    goesOn: { userResponse: "approved" },
  },
  {
    name: "paused",
    options: {
      topology: team("Fork -> Slow | Quick", "Slow | Quick -> Join"),
      agents: {
        Fork: (x) => x,
        Quick: (x) => `quick ${x}`,
        Slow: async (x, { sessionId }) => {
          pausing.get(sessionId)?.();
          return `slow ${x}`;
        },
        Join: (arrivals) => arrivals,
      },
    },
    // Paused from within a step, so that its result comes in while the run stands still.
    tell: async (instance) => {
      const asked = new Promise<void>((resolve) => pausing.set(SESSION, resolve)).then(() =>
        instance.pauseSession(SESSION, "for the night"),
      );
      await Promise.all([run(instance), asked]);
      pausing.clear();
    },
    goesOn: {},
  },
  {
    name: "pause-and-resume",
    options: { topology: team("One -> Two"), agents: { One: (x) => `1 ${x}`, Two: (x) => `2 ${x}` } },
    tell: async (instance) => {
      const running = run(instance);
      await instance.pauseSession(SESSION, "a moment", { inFlight: "abort" });
      await running;
      await instance.resumeSession(SESSION, { additionalContext: { hurry: true } });
    },
  },
  {
    name: "checkpoint-restored",
    options: {
      topology: team("Clerk -> Filer"),
      agents: { Clerk: (x, ctx) => (ctx.question ? x : next.ask("which?")), Filer: (x) => `filed ${x}` },
    },
    tell: async (instance) => {
      await run(instance);
      const checkpoint = await instance.createCheckpoint(SESSION, "before the answer");
      await instance.resumeSession(SESSION, { userResponse: "the wrong one" });
      await instance.restoreCheckpoint(checkpoint);
    },
    goesOn: { userResponse: "the right one" },
  },
  {
    name: "checkpoint-forked",
    options: {
      topology: team("Fork -> A | User", "A | User -> Join"),
      agents: { Fork: (x) => x, A: (x) => `a ${x}`, Join: (arrivals) => arrivals },
    },
    tell: async (instance) => {
      await run(instance);
      const checkpoint = await instance.createCheckpoint(SESSION, "open");
      await instance.resumeSession(SESSION, { userResponse: "first" });
      return instance.forkCheckpoint(checkpoint, { sessionId: `${SESSION}-fork` });
    },
    goesOn: { userResponse: "second" },
  },
  {
    name: "nested",
    options: {
      topology: team("Outer -> Last"),
      agents: {
        Outer: async (x, ctx) =>
          (await ctx.run({ task: x, topology: team("In -> Out"), agents: { In: upper, Out: (y: string) => [y] } }))
            .finalResponse,
        Last: (x) => x,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "nested-question-open",
    options: {
      topology: team("Outer -> Last"),
      agents: {
        Outer: async (x, ctx) =>
          (
            await ctx.run({
              task: x,
              topology: team("In"),
              agents: {
                In: defineAgent({ name: "In", run: (y, c) => (c.question ? `said ${String(y)}` : next.ask("?")) }),
              },
            })
          ).finalResponse,
        Last: (x) => x,
      },
    },
    tell: (instance) => run(instance),
    goesOn: { userResponse: "yes" },
  },
  {
    name: "cancelled",
    options: { topology: team("Fork -> Stuck | Done"), agents: { Fork: (x) => x, Stuck: hang, Done: (x) => x } },
    tell: async (instance) => {
      const { result } = await runUntil(instance, "Done");
      await instance.cancelSession(SESSION, "nobody needs it");
      await result;
    },
  },
  {
    name: "failed",
    options: {
      topology: team("Fork -> Good | Bad", "Good | Bad -> Join"),
      agents: {
        Fork: (x) => x,
        Good: (x) => x,
        Bad: () => {
          throw failure("no such page", { data: { page: 404 } });
        },
        Join: (x) => x,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "bound-reached",
    options: {
      topology: { nodes: ["A", "B"], entryPoint: "A", edges: ["A -> B", { from: "B", to: "A", condition: "again" }] },
      maxSteps: 5,
      agents: { A: () => "on", B: () => "again" },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "journal",
    options: {
      topology: team("Payer -> Teller"),
      initialConfig: { retry: { transient: { maxAttempts: 3, initialDelayMs: 10, jitter: 0 } } },
      agents: {
        Payer: async (x, ctx) => {
          const receipt = await ctx.once("pay", () => ({ paid: x, attempt: ctx.attempt }));
          ctx.state.set("seen", ctx.attempt);
          if (ctx.attempt < 3) throw failure("reset", { code: "ECONNRESET" });
          return receipt;
        },
        Teller: (x) => x,
      },
    },
    tell: (instance) => run(instance),
  },
  {
    name: "interrupted",
    options: {
      topology: team("Fork -> Stuck | Done", "Stuck | Done -> Join"),
      agents: { Fork: (x) => x, Stuck: hang, Done: (x) => `done ${x}`, Join: (arrivals) => arrivals },
    },
    // Its process is gone: what is told ends in the middle of a step.
    tell: async (instance) => void (await runUntil(instance, "Done")),
    goesOn: {},
  },
  {
    name: "insufficient",
    options: {
      topology: {
        nodes: ["Fork", "A", "B", { name: "Join", convergencePolicy: { onInsufficient: "user" } }],
        edges: fan("Fork -> A | B").concat(fan("A | B -> Join")),
      },
      agents: {
        Fork: (x) => x,
        A: () => {
          throw failure("A is out");
        },
        B: (x) => x,
        Join: (arrivals) => arrivals,
      },
    },
    tell: (instance) => run(instance),
    goesOn: { userResponse: "proceed" },
  },
  {
    name: "values",
    options: {
      topology: team("Maker -> Taker"),
      agents: {
        Maker: (x, ctx) => ({
          task: x,
          context: ctx.context,
          map: new Map<unknown, unknown>([["k", new Set([1n])]]),
          at: new Date(0),
          bytes: new Uint8Array([0, 255]),
          long: "otter ".repeat(2_800),
        }),
        Taker: (x) => x,
      },
    },
    tell: (instance) =>
      instance.execute({
        task: { about: "otters" },
        sessionId: SESSION,
        context: { region: "eu" },
        idempotencyKey: "k",
      }),
  },
  {
    name: "two-runs",
    options: {
      topology: { nodes: ["A", "B"], edges: [{ from: "A", to: "B", type: "notify" }] },
      agents: { A: (x, ctx) => `${x}, after ${ctx.session.runs.length}`, B: () => "noted" },
    },
    tell: async (instance) => {
      await run(instance);
      await instance.followUp(SESSION, "and badgers?");
    },
  },
  {
    name: "migrated",
    options: {
      topology: {
        nodes: ["Intake", "Fork", "Left", "User", "Join", "Last"],
        edges: ["Intake -> Fork", ...fan("Fork -> Left | User"), ...fan("Left | User -> Join"), "Join -> Last"],
      },
      migrations: [{ from: EARLIER, nodes: { A: "Left", F: "Fork", J: "Join" } }],
      agents: {
        Fork: (x) => x,
        Intake: (x) => x,
        Left: (x, ctx) => (ctx.question ? `left ${x} ${ctx.state.get<string>("seen") ?? ""}` : next.ask("never")),
        Join: (arrivals) => arrivals,
        Last: (x) => ({ last: x }),
      },
    },
    tell: async (instance, another) => {
      const before = another({
        topology: EARLIER,
        agents: {
          F: (x: string) => x,
          A: (x: string, ctx: AgentContext) => {
            ctx.state.set("seen", x);
            return next.ask("and A?");
          },
          J: (x: unknown) => x,
        },
      });
      await run(before);
      const questions = await before.communication.pending({ sessionId: SESSION });
      await before.close();
      const ofLeft = questions.find(({ node }) => node === "A")?.questionId ?? "";
      await instance.resumeSession(SESSION, { userResponse: { [ofLeft]: "gone on" } });
    },
    goesOn: { userResponse: "a person's" },
  },
];

/** What a hung step does once the run goes on in a later version. */
export const GOING_ON: Agents = { Stuck: (x) => `at last ${x}` };
