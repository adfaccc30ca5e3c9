import { describe, expect, it } from "vitest";
import { memoryStorage } from "../../src/state/memory-store.ts";
import { moveSession } from "../../src/state/move-session.ts";
import type { SessionEntry, SessionStore } from "../../src/state/ports.ts";
import { codeOf } from "../../src/testing/contract-test.ts";
import { blobOf, checkpointOf, commitOf, entryOf, snapshotOf } from "../../src/testing/session-samples.ts";

async function begin(store: SessionStore, sessionId: string, more: Partial<SessionEntry> = {}): Promise<void> {
  const { ref, bytes } = blobOf(sessionId);
  const entry: SessionEntry = { ...entryOf(sessionId), status: "paused", ...more };
  const commit = commitOf(1, {
    id: `of ${sessionId}`,
    facts: [{ type: "context.added", context: { document: { ref, bytes: bytes.byteLength } } }],
  });
  await store.append({ sessionId, expected: 0, commit, blobs: new Map([[ref, bytes]]), entry });
  for (const n of [2, 3])
    await store.append({ sessionId, expected: n - 1, commit: commitOf(n, { id: `of ${sessionId}` }), entry });
}

/** A session, one nested in it, one nested in that. */
async function family(): Promise<SessionStore> {
  const store = memoryStorage();
  await begin(store, "a");
  await begin(store, "a.1", { parentSessionId: "a", status: "completed" });
  await begin(store, "a.1.1", { parentSessionId: "a.1", status: "completed" });
  return store;
}

const idsIn = async (store: SessionStore): Promise<string[]> =>
  (await store.listSessions()).map(({ sessionId }) => sessionId);

describe("moving a session", () => {
  it("takes all that belongs to it to the other store, and leaves nothing", async () => {
    const from = await family();
    await begin(from, "stays");
    await from.saveSnapshot("a", snapshotOf(2));
    await from.saveCheckpoint(checkpointOf("cp", "a", 2));
    const to = memoryStorage();
    expect(await moveSession(from, to, "a")).toBe(3);
    expect(await idsIn(from)).toEqual(["stays"]);
    expect(await idsIn(to)).toEqual(["a", "a.1", "a.1.1"]);
    expect(await to.latestSnapshot("a")).toEqual(snapshotOf(2));
    expect(await to.getCheckpoint("cp")).toEqual(checkpointOf("cp", "a", 2));
    const { ref, bytes } = blobOf("a.1.1");
    expect(Buffer.from(await to.getBlob(ref)).equals(bytes)).toBe(true);
    expect((await from.stats()).blobs).toBe(1);
  });

  it("is ended by doing it again, wherever it was cut short", async () => {
    for (let calls = 1; ; calls++) {
      const from = await family();
      const to = memoryStorage();
      const cut = { left: calls };
      await moveSession(failing(from, cut), failing(to, cut), "a").catch(() => undefined);
      if (cut.left > 0) break;
      const ended = await moveSession(from, to, "a").catch((error: { code: string }) => error.code);
      // Cut short after the last of it had gone, there is nothing left to move.
      expect([calls, typeof ended === "number" || ended === "ORCH_SESSION_UNKNOWN"]).toEqual([calls, true]);
      expect([calls, await idsIn(from), await idsIn(to)]).toEqual([calls, [], ["a", "a.1", "a.1.1"]]);
    }
  });

  it("refuses what runs, what is nested, what is not there, and to write over another", async () => {
    const from = await family();
    await begin(from, "running", { status: "running" });
    const to = memoryStorage();
    expect(await codeOf(moveSession(from, to, "running"))).toBe("ORCH_SESSION_STATE");
    expect(await codeOf(moveSession(from, to, "a.1"))).toBe("ORCH_SESSION_STATE");
    expect(await codeOf(moveSession(from, to, "nobody"))).toBe("ORCH_SESSION_UNKNOWN");
    await to.append({ sessionId: "a", expected: 0, commit: commitOf(1, { id: "another" }), entry: entryOf("a") });
    expect(await codeOf(moveSession(from, to, "a"))).toBe("ORCH_SESSION_STATE");
    expect(await idsIn(from)).toEqual(["a", "a.1", "a.1.1", "running"]);
    expect(await idsIn(to)).toEqual(["a"]);
  });
});

/** Fails every call that writes once so many were made, like a process that ends there. */
function failing(store: SessionStore, cut: { left: number }): SessionStore {
  const writes: readonly (string | symbol)[] = ["append", "saveSnapshot", "saveCheckpoint", "deleteSession"];
  return new Proxy(store, {
    get(of, key) {
      const value: unknown = Reflect.get(of, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (writes.includes(key) && cut.left-- <= 0) return Promise.reject(new Error("cut short"));
        return (value as (...args: unknown[]) => unknown).apply(of, args);
      };
    },
  });
}
