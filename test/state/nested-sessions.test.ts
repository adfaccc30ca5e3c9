// Root cause: the first page held 200 sessions behind the id, whoever's they were; on a bus each that ran was a question to its
// log, so that a host which took over hundreds of sessions asked for nearly all of them once per session.

import { expect, it } from "vitest";
import { nestedPrefix } from "../../src/base/nested-ids.ts";
import { nestedIn } from "../../src/state/nested-sessions.ts";
import type { SessionEntry } from "../../src/state/ports.ts";

function listing(ids: readonly string[], parent: string) {
  const asked = { sessions: 0 };
  const sorted = [...ids].sort();
  const store = {
    listSessions: async ({ limit = 100, cursor = "" }: { limit?: number; cursor?: string } = {}) => {
      const page = sorted.filter((id) => id > cursor).slice(0, limit);
      asked.sessions += page.length;
      return page.map((sessionId): SessionEntry => {
        const isNested = sessionId.startsWith(nestedPrefix(parent));
        const entry = { sessionId, status: "running", runId: "r", topologyHash: "h", host: "a", n: 1 } as const;
        return { ...entry, createdAtMs: 1, updatedAtMs: 1, ...(isNested && { parentSessionId: parent }) };
      });
    },
  };
  return { store, asked };
}

it("looks at one other session where nothing is nested, however many there are", async () => {
  const others = Array.from({ length: 500 }, (_, i) => `t${i}`);
  const { store, asked } = listing(["s", ...others], "s");
  expect(await nestedIn(store, "s")).toEqual([]);
  expect(asked.sessions).toBe(1);
});

it("finds all that is nested, over several pages", async () => {
  const nested = Array.from({ length: 450 }, (_, i) => `${nestedPrefix("s")}${i}`);
  const { store } = listing(["s", "t", ...nested], "s");
  expect((await nestedIn(store, "s")).map(({ sessionId }) => sessionId)).toEqual(nested.sort());
});
