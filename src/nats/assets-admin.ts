// Assets on a server: looked at by every host, made and removed by an operator.

import type { JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { findProblems, type AssetProblem } from "./assets-check.ts";
import { assetsOf, STORAGE, type Asset } from "./assets.ts";
import { busError, isUnanswered, JS_CODE, jsCode } from "./bus-errors.ts";
import type { Names } from "./names.ts";
import type { InitOptions } from "./options.ts";

/** Right after a stream was made, or while a leader is elected, the server answers 503 for a moment. */
const MANAGE_TIMEOUT_MS = 15_000;
const MANAGE_RETRY_MS = 200;

/** What stands on the server. `hidden`: these credentials may not look at it. */
export interface AssetState {
  readonly asset: Asset;
  readonly info: StreamInfo | undefined;
  readonly hidden: boolean;
  readonly problems: readonly AssetProblem[];
}

/** @throws {OrchestraError} `ORCH_BUS_SERVER`, `ORCH_BUS_UNREACHABLE` */
export async function readAssets(jsm: JetStreamManager, names: Names, clock: Clock): Promise<readonly AssetState[]> {
  return Promise.all(
    assetsOf(names).map(async (asset) => {
      const info = await infoOf(jsm, asset.name, clock);
      if (info === "hidden") return { asset, info: undefined, hidden: true, problems: [] };
      return { asset, info, hidden: false, problems: findProblems(asset, info?.config) };
    }),
  );
}

/**
 * Makes what is missing and mends what can be changed; what an operator may choose freely stays.
 * @throws {OrchestraError} `ORCH_BUS_ASSETS` for what cannot be changed in place; `ORCH_BUS_DENIED`, `ORCH_BUS_SERVER`,
 *   `ORCH_BUS_UNREACHABLE`.
 */
export async function initAssets(
  jsm: JetStreamManager,
  names: Names,
  clock: Clock,
  options: InitOptions & { readonly replicasByDefault: 1 | 3 },
): Promise<readonly { readonly name: string; readonly did: "created" | "updated" | "kept" }[]> {
  const done: { name: string; did: "created" | "updated" | "kept" }[] = [];
  for (const asset of assetsOf(names, options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs })) {
    const info = await infoOf(jsm, asset.name, clock);
    if (info === "hidden")
      throw new OrchestraError(
        "ORCH_BUS_DENIED",
        `these credentials may not look at ${asset.name}; init needs the rights of an operator`,
      );
    done.push({ name: asset.name, did: await settle(jsm, asset, info, clock, options) });
  }
  return done;
}

async function settle(
  jsm: JetStreamManager,
  asset: Asset,
  info: StreamInfo | undefined,
  clock: Clock,
  options: InitOptions & { readonly replicasByDefault: 1 | 3 },
): Promise<"created" | "updated" | "kept"> {
  if (info === undefined) {
    await managed(`create ${asset.name}`, clock, () =>
      jsm.streams.add({
        ...asset.config,
        name: asset.name,
        num_replicas: options.replicas ?? options.replicasByDefault,
        storage: STORAGE[options.storage ?? "file"],
      }),
    );
    return "created";
  }
  const changes = changesTo(asset, info.config, options);
  if (Object.keys(changes).length === 0) return "kept";
  try {
    await managed(`update ${asset.name}`, clock, () => jsm.streams.update(asset.name, { ...info.config, ...changes }));
  } catch (error) {
    if (jsCode(error) === undefined) throw error;
    const listed = findProblems(asset, info.config).map((problem) => problem.message);
    throw new OrchestraError(
      "ORCH_BUS_ASSETS",
      `${asset.name} cannot be changed in place (${(error as Error).message}): ${listed.join("; ")}. ` +
        `Once no session needs it any more: orchestra nats purge, then orchestra nats init`,
      { cause: error, details: { asset: asset.name } },
    );
  }
  return "updated";
}

function changesTo(asset: Asset, stored: StreamConfig, options: InitOptions): Partial<StreamConfig> {
  const changes: Record<string, unknown> = {};
  for (const { setting } of findProblems(asset, stored))
    if (setting !== undefined) changes[setting] = asset.config[setting as keyof Asset["config"]];
  if (options.replicas !== undefined && stored.num_replicas !== options.replicas)
    changes["num_replicas"] = options.replicas;
  if (
    options.leaseMs !== undefined &&
    asset.config.max_age > 0 &&
    asset.kind === "bucket" &&
    stored.max_age !== asset.config.max_age
  )
    Object.assign(changes, { max_age: asset.config.max_age, duplicate_window: asset.config.duplicate_window });
  return changes;
}

/** Removes everything of this tenant, sessions included. Returns what was there. */
export async function purgeAssets(jsm: JetStreamManager, names: Names, clock: Clock): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const { name } of assetsOf(names)) {
    const gone = await managed(`delete ${name}`, clock, () => jsm.streams.delete(name)).catch((error: unknown) => {
      if (jsCode(error) === JS_CODE.streamNotFound) return false;
      throw error;
    });
    if (gone) removed.push(name);
  }
  return removed;
}

async function infoOf(jsm: JetStreamManager, name: string, clock: Clock): Promise<StreamInfo | undefined | "hidden"> {
  try {
    return await managed(`look at ${name}`, clock, () => jsm.streams.info(name));
  } catch (error) {
    if (jsCode(error) === JS_CODE.streamNotFound) return undefined;
    if (error instanceof OrchestraError && error.cause instanceof errors.PermissionViolationError) return "hidden";
    throw error;
  }
}

/** A call to the management interface, tried again while there is no leader to answer it. Calls of ours may be repeated. */
export async function managed<T>(what: string, clock: Clock, call: () => Promise<T>): Promise<T> {
  const untilMs = clock.monotonicMs() + MANAGE_TIMEOUT_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isUnanswered(error) || clock.monotonicMs() + MANAGE_RETRY_MS > untilMs) throw busError(error, what);
      await new Promise<void>((resolve) => clock.setTimer(MANAGE_RETRY_MS, resolve));
    }
  }
}

/** The command that makes or mends what a host misses. */
export function initCommand(servers: readonly string[], names: Names): string {
  const tenant = names.tenant === undefined ? "" : ` --tenant ${names.tenant}`;
  return `orchestra nats init --servers ${servers.join(",")}${tenant}`;
}

/** @throws {OrchestraError} `ORCH_BUS_ASSETS` listing every difference, with the command that mends them. */
export function assertAssets(states: readonly AssetState[], command: string): void {
  const problems = states.flatMap((state) => state.problems);
  if (problems.length === 0) return;
  throw new OrchestraError(
    "ORCH_BUS_ASSETS",
    `NATS is not prepared:\n${problems.map((problem) => `  ${problem.message}`).join("\n")}\n` +
      `An operator mends it with: ${command}`,
    { details: { problems: problems.map(({ asset, setting, message }) => ({ asset, setting, message })), command } },
  );
}
