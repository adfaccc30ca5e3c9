// Every call that reaches the disk fails once with EIO: the first, the second, and so on to the last. The run that met it
// fails with a code or does not notice; afterwards it ends well, and nothing is recorded twice.

import { describe, expect, it } from "vitest";
import { isOrchestraError, OrchestraError } from "../../src/base/errors.ts";
import { LOCAL_DISK, type Disk } from "../../src/state/disk.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { code, request, topology, world } from "../runtime/world.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { commitsOf } from "./folders.ts";

interface Failing extends Disk {
  /** Calls so far. */
  readonly calls: () => number;
}

/** Call `nth` fails, before or after it did what it should; with `sticky` the next ones do, too. */
function failingDisk(nth: number, { late, sticky }: { late: boolean; sticky: number }): Failing {
  let calls = 0;
  const fails = (): boolean => ++calls >= nth && calls < nth + sticky;
  const eio = (): never => {
    throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
  };
  const sync = <T>(act: () => T): T => {
    const failing = fails();
    if (failing && !late) eio();
    const result = act();
    return failing ? eio() : result;
  };
  const async = async <T>(act: () => Promise<T>): Promise<T> => {
    const failing = fails();
    if (failing && !late) eio();
    const result = await act();
    return failing ? eio() : result;
  };
  // What a database says when it cannot be read is coded already.
  const read = <T>(act: () => Promise<T>): Promise<T> =>
    async(act).catch((cause: Error) => {
      throw new OrchestraError("ORCH_STORE_FAILED", cause.message, { cause });
    });
  return {
    calls: () => calls,
    prepare: LOCAL_DISK.prepare,
    async open(path) {
      const database = await LOCAL_DISK.open(path);
      return {
        get: (key) => read(() => database.get(key)),
        getMany: (keys) => read(() => database.getMany(keys)),
        range: (from, to, options) => read(() => database.range(from, to, options)),
        keys: (from, to) => read(() => database.keys(from, to)),
        write: (ops, toDisk) => async(() => database.write(ops, toDisk)),
        reopen: () => read(() => database.reopen()),
        size: () => database.size(),
        close: () => database.close(),
      };
    },
    files: {
      list: LOCAL_DISK.files.list,
      read: LOCAL_DISK.files.read,
      remove: (path) => sync(() => LOCAL_DISK.files.remove(path)),
      create(path) {
        const file = sync(() => LOCAL_DISK.files.create(path));
        return {
          write: (bytes, position) => sync(() => file.write(bytes, position)),
          truncate: (length) => sync(() => file.truncate(length)),
          sync: () => async(() => file.sync()),
          close: () => file.close(),
        };
      },
    },
  };
}

const agents = code({
  A: async (task, ctx) => `${task}${String(await ctx.once("k", () => "o"))}`,
  B: (x) => `${String(x)}b`.padEnd(20_000, "."),
  C: () => "done",
});
const STORED = /^ORCH_(STORE_FAILED|SESSION_UNKNOWN|SESSION_STATE)$/;

async function coded<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!isOrchestraError(error)) throw error;
    expect(error.code).toMatch(STORED);
    return undefined;
  }
}

/** Number of calls the disk saw. */
async function runThrough(nth: number, how: { late: boolean; sticky: number }): Promise<number> {
  const folder = await temporaryFolder();
  const disk = failingDisk(nth, how);
  const store = new LevelStorage(folder, { durability: "disk", disk });
  const { engine } = world({ store });
  const start = async (): Promise<unknown> => {
    const more = { sessionId: "s", idempotencyKey: "once" };
    const handle = await engine.start(request("t", topology("A -> B -> C"), agents, more));
    return (await handle.outcome).finalResponse;
  };
  const first = await coded(start);
  await coded(() => engine.createCheckpoint("s", "c"));
  // The same process, once the disk works again.
  for (let again = 0; again < how.sticky; again++) await coded(() => engine.listSessions());
  await coded(() => engine.recover({ code: () => agents }));
  const second = first ?? (await coded(start)) ?? (await start());
  expect(second).toBe("done");
  await engine.close();
  await store.close();
  const calls = disk.calls();
  // Another process, that finds all of it.
  const later = new LevelStorage(folder);
  expect(await later.verify()).toMatchObject({ ok: true, sessions: 1 });
  const facts = (await commitsOf(later, "s")).flatMap((commit) => commit.facts);
  expect(facts.filter(({ type }) => type === "run.started")).toHaveLength(1);
  expect(facts.filter(({ type }) => type === "step.succeeded")).toHaveLength(3);
  expect(facts.filter(({ type }) => type === "journaled")).toHaveLength(1);
  await later.close();
  return calls;
}

describe("an I/O error", () => {
  it.each([
    ["instead of the call", { late: false, sticky: 1 }],
    ["after the call was done all the same", { late: true, sticky: 1 }],
    ["three times in a row", { late: false, sticky: 3 }],
  ])("at any call, %s, fails with a code at most, and the session ends well", async (_, how) => {
    const calls = await runThrough(Infinity, how);
    expect(calls).toBeGreaterThan(15);
    for (let nth = 1; nth <= calls; nth++) await runThrough(nth, how);
  });
});
