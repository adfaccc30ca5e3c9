// Points of the way a commit takes, and a process that ends itself by SIGKILL at the k-th passage of one of them. All are
// armed from outside: the parts the runtime is handed are wrapped, nothing in them knows.

import type { AheadFile } from "../../src/state/ahead-ports.ts";
import { LOCAL_DISK, type Disk } from "../../src/state/disk.ts";
import type { KeyValue } from "../../src/state/key-value.ts";
import type { Bus } from "../../src/bus/ports.ts";
import type { SessionStore } from "../../src/state/ports.ts";

/** In the order in which a commit meets them. */
export const COMMIT_POINTS = [
  "append: asked for",
  "file: about to be created",
  "file: created",
  "file: half written",
  "file: written",
  "file: on disk",
  "append: acknowledged, not applied",
  "step: about to be offered",
  "step: offered",
  "result: about to be put",
  "result: put",
] as const;
export const CHECKPOINT_POINTS = ["checkpoint: about to be saved", "checkpoint: saved"] as const;
export const MOVE_POINTS = [
  "database: about to be written",
  "database: written",
  "file: about to be removed",
  "file: removed",
  "snapshot: about to be saved",
  "snapshot: saved",
] as const;
export type Point = (typeof COMMIT_POINTS | typeof CHECKPOINT_POINTS | typeof MOVE_POINTS)[number];

export interface Armed {
  /** How often each point was passed. */
  readonly passes: Readonly<Record<string, number>>;
  readonly disk: Disk;
  store<S extends SessionStore>(store: S): S;
  bus(bus: Bus): Bus;
}

export function arm(point: string, k: number): Armed {
  let left = k;
  const passes: Record<string, number> = {};
  const pass = (here: Point): void => {
    passes[here] = (passes[here] ?? 0) + 1;
    if (here === point && --left === 0) process.kill(process.pid, "SIGKILL");
  };
  const around = <A extends unknown[], R>(before: Point, act: (...args: A) => Promise<R>, after: Point) =>
    async function passed(...args: A): Promise<R> {
      pass(before);
      const result = await act(...args);
      pass(after);
      return result;
    };
  const file = (one: AheadFile): AheadFile => ({
    write(bytes, position) {
      if (point === "file: half written" && left === 1) one.write(bytes.subarray(0, bytes.byteLength >> 1), position);
      pass("file: half written");
      const taken = one.write(bytes, position);
      pass("file: written");
      return taken;
    },
    truncate: (length) => one.truncate(length),
    async sync() {
      await one.sync();
      pass("file: on disk");
    },
    close: () => one.close(),
  });
  const database = (one: KeyValue): KeyValue =>
    overridden(one, {
      write: around("database: about to be written", (ops, sync) => one.write(ops, sync), "database: written"),
    });
  return {
    passes,
    disk: {
      prepare: LOCAL_DISK.prepare,
      open: async (path) => database(await LOCAL_DISK.open(path)),
      files: {
        ...LOCAL_DISK.files,
        create(path) {
          pass("file: about to be created");
          const created = LOCAL_DISK.files.create(path);
          pass("file: created");
          return file(created);
        },
        remove(path) {
          pass("file: about to be removed");
          LOCAL_DISK.files.remove(path);
          pass("file: removed");
        },
      },
    },
    store: (store) =>
      overridden(store, {
        append: around("append: asked for", (one) => store.append(one), "append: acknowledged, not applied"),
        saveSnapshot: around("snapshot: about to be saved", (...all) => store.saveSnapshot(...all), "snapshot: saved"),
        saveCheckpoint: around(
          "checkpoint: about to be saved",
          (one) => store.saveCheckpoint(one),
          "checkpoint: saved",
        ),
      } as Partial<typeof store>),
    bus: (bus) => ({
      ...bus,
      steps: overridden(bus.steps, {
        offer: around("step: about to be offered", (step) => bus.steps.offer(step), "step: offered"),
      }),
      results: overridden(bus.results, {
        put: around("result: about to be put", (result) => bus.results.put(result), "result: put"),
      }),
    }),
  };
}

function overridden<T extends object>(target: T, instead: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(name in instead ? instead : target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
