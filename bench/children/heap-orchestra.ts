import {
  LevelStorage,
  next,
  OrchestraInstance,
  StateManager,
  type AgentContext,
  type OrchestraResult,
} from "orchestra";
import type { CreateHold } from "./heap.ts";

type Durability = "process" | "disk";

interface Waiting {
  readonly instance: OrchestraInstance;
  /** Starts `count` sessions and resolves when each stands in its second agent. */
  start(count: number): Promise<readonly { sessionId: string; result: Promise<OrchestraResult> }[]>;
}

function storing(folder: string, durability: Durability | undefined): { stateManager?: StateManager } {
  return durability === undefined
    ? {}
    : { stateManager: new StateManager({ storage: new LevelStorage(folder, { durability }) }) };
}

function createWaiting(folder: string, durability: Durability | undefined): Waiting {
  // What will end the waiting, as a timer or a socket would hold it.
  const ends = new Set<unknown>();
  let entered = 0;
  let expected = 0;
  let allEntered = (): void => undefined;
  const instance = new OrchestraInstance({
    topology: { nodes: ["First", "Wait"], edges: ["First -> Wait"] },
    agents: {
      First: (input: unknown) => input,
      Wait: (_input: unknown, { signal }: AgentContext) =>
        new Promise((resolve, reject) => {
          ends.add(resolve);
          signal.addEventListener("abort", () => {
            ends.delete(resolve);
            reject(signal.reason as Error);
          });
          if (++entered === expected) allEntered();
        }),
    },
    ...storing(folder, durability),
  });
  return {
    instance,
    async start(count) {
      const standing = new Promise<void>((resolve) => (allEntered = resolve));
      expected += count;
      const first = expected - count;
      const sessions = Array.from({ length: count }, (_, i) => {
        const sessionId = `waiting-${first + i}`;
        return { sessionId, result: instance.execute({ task: "wait", sessionId }) };
      });
      await standing;
      return sessions;
    },
  };
}

function expectAll(results: readonly OrchestraResult[], status: OrchestraResult["status"]): void {
  const other = results.find((result) => result.status !== status);
  if (other !== undefined) throw new Error(`a session is ${other.status}, expected ${status}`, { cause: other.error });
}

export function live(durability?: Durability): CreateHold {
  return (folder) => {
    const { start } = createWaiting(folder, durability);
    const held: unknown[] = [];
    return async (count) => void held.push(await start(count));
  };
}

export function paused(durability: Durability): CreateHold {
  return (folder) => {
    const { instance, start } = createWaiting(folder, durability);
    return async (count) => {
      const sessions = await start(count);
      await Promise.all(
        sessions.map(({ sessionId }) => instance.pauseSession(sessionId, "bench", { inFlight: "abort" })),
      );
      expectAll(await Promise.all(sessions.map(({ result }) => result)), "paused");
    };
  };
}

export function awaitingUser(durability?: Durability): CreateHold {
  return (folder) => {
    const instance = new OrchestraInstance({
      topology: { nodes: ["First", "Ask"], edges: ["First -> Ask"] },
      agents: { First: (input: unknown) => input, Ask: () => next.ask("Shall it go on?") },
      ...storing(folder, durability),
    });
    return async (count) => {
      const runs = Array.from({ length: count }, () => instance.execute({ task: "ask" }));
      expectAll(await Promise.all(runs), "awaiting_user");
    };
  };
}
