import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import type { SessionStore } from "../../src/state/ports.ts";
import { commitOf, entryOf } from "../../src/testing/session-samples.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { openStore } from "./store-world.ts";

const SESSIONS = Array.from({ length: 6 }, (_, i) => `s${i}`);

interface Accepted {
  readonly sessionId: string;
  readonly n: number;
  readonly id: string;
}

/** Writes behind whatever the log ends with, again and again. */
async function contend(store: SessionStore, owner: string, sessionId: string, until: AbortSignal): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  for (let round = 0; !until.aborted; round++) {
    const n = ((await store.last(sessionId))?.n ?? 0) + 1;
    const id = `${owner}-${round}`;
    const commit = commitOf(n, { id, host: owner });
    const result = await store.append({ sessionId, expected: n - 1, commit, entry: entryOf(sessionId) });
    if (result.ok) accepted.push({ sessionId, n, id });
  }
  return accepted;
}

describe.each(["2.10", "2.15"] as const)("two owners of the same sessions on three servers (%s)", (version) => {
  it("lose nothing that was acknowledged and fork no log when the leader is killed", async () => {
    const cluster = await startCluster({ version });
    onTestFinished(() => cluster[Symbol.asyncDispose]());
    const worlds = [1, 2].map(() => openStore(cluster.urls, { ackTimeoutMs: 2_000 }));
    onTestFinished(async () => void (await Promise.all(worlds.map((world) => world.close()))));
    await worlds[0]?.store.open();
    const end = new AbortController();
    const work = worlds.flatMap(({ store }, i) =>
      SESSIONS.map((sessionId) => contend(store, `owner-${i}`, sessionId, end.signal)),
    );
    await sleep(700);
    const killed = await cluster.killLeader("ORCH_LOG");
    const before = await worlds[1]?.store.last("s0");
    await killed.start();
    await cluster.ready();
    await sleep(700);
    end.abort();
    const accepted = (await Promise.all(work)).flat();
    const reader = openStore(cluster.urls);
    onTestFinished(() => reader.close());
    const stored = new Map<string, string>();
    for (const sessionId of SESSIONS) {
      let expected = 1;
      for await (const { n, id } of reader.store.read(sessionId)) {
        expect(n).toBe(expected++);
        stored.set(`${sessionId}/${n}`, id);
      }
    }
    expect((await reader.store.last("s0"))?.n).toBeGreaterThan(before?.n ?? 0);
    for (const { sessionId, n, id } of accepted) expect([n, stored.get(`${sessionId}/${n}`)]).toEqual([n, id]);
    // Whoever wrote it was told so.
    expect(accepted.length).toBe(stored.size);
    expect((await reader.store.verify()).problems).toEqual([]);
    expect((await reader.store.listSessions()).map((one) => one.sessionId)).toEqual(SESSIONS);
  });
});
