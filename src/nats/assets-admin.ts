// Assets on a server: looked at by every host, made and removed by an operator.

import type { JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { findProblems, type AssetProblem } from "./assets-check.ts";
import { assetsOf, STORAGE, type Asset } from "./assets.ts";
import { busError, isNobodyThere, isPeerOffline, isUnanswered, JS_CODE, jsCode, violationIn } from "./bus-errors.ts";
import { addDurable, agentConsumer, durableInfo, OPEN_STEPS_MAX } from "./durable-consumer.ts";
import { encodeName, type Names } from "./names.ts";
import { DEFAULT_BUS_SETTINGS, type InitOptions } from "./options.ts";

const RETRY_MS = 200;

/** What stands on the server. `hidden`: these credentials may not look at it. */
export interface AssetState {
  readonly asset: Asset;
  readonly info: StreamInfo | undefined;
  readonly hidden: boolean;
  readonly problems: readonly AssetProblem[];
}

export interface InitReport {
  readonly name: string;
  readonly did: "created" | "updated" | "kept";
}

export interface AssetAdminOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly names: Names;
  readonly clock: Clock;
  /** How long a call is repeated while nobody answers it: a leader is elected, a stream was just made. */
  readonly patienceMs: number;
}

export class AssetAdmin {
  readonly #options: AssetAdminOptions;

  constructor(options: AssetAdminOptions) {
    this.#options = options;
  }

  /** @throws {OrchestraError} `ORCH_BUS_SERVER`, `ORCH_BUS_UNREACHABLE` */
  async read(): Promise<readonly AssetState[]> {
    return Promise.all(
      assetsOf(this.#options.names).map(async (asset) => {
        const info = await this.#infoOf(asset.name);
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
  async init(options: InitOptions): Promise<readonly InitReport[]> {
    const { leaseMs } = options;
    const done: InitReport[] = [];
    for (const asset of assetsOf(this.#options.names, leaseMs === undefined ? {} : { leaseMs })) {
      const info = await this.#infoOf(asset.name);
      if (info === "hidden")
        throw new OrchestraError(
          "ORCH_BUS_DENIED",
          `these credentials may not look at ${asset.name}; init needs the rights of an operator`,
        );
      const did = info === undefined ? await this.#create(asset, options) : await this.#mend(asset, info, options);
      done.push({ name: asset.name, did });
    }
    for (const agent of options.agents ?? []) done.push(await this.#prepareAgent(agent));
    return done;
  }

  /** A consumer that exists is an operator's choice, and stays. */
  async #prepareAgent(agent: string): Promise<InitReport> {
    const { jsm, names } = this.#options;
    const consumer = agentConsumer(names, encodeName(agent), {
      ...DEFAULT_BUS_SETTINGS,
      maxAckPending: OPEN_STEPS_MAX,
    });
    const name = `${consumer.stream}/${consumer.name}`;
    return this.#managed(`create the consumer ${name}`, async () => {
      if ((await durableInfo(jsm, consumer)) !== undefined) return { name, did: "kept" };
      await addDurable(jsm, consumer);
      return { name, did: "created" };
    });
  }

  /** Removes everything of this tenant, sessions included. Returns the names of what was there. */
  async purge(): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const { name } of assetsOf(this.#options.names)) {
      try {
        await this.#managed(`delete ${name}`, () => this.#options.jsm.streams.delete(name));
        removed.push(name);
      } catch (error) {
        if (jsCode(error) !== JS_CODE.streamNotFound) throw error;
      }
    }
    return removed;
  }

  async #create(asset: Asset, { replicas, storage = "file" }: InitOptions): Promise<"created"> {
    const { nc, jsm } = this.#options;
    await this.#managed(`create ${asset.name}`, () =>
      jsm.streams.add({
        ...asset.config,
        name: asset.name,
        description: asset.job,
        num_replicas: replicas ?? (nc.info?.cluster === undefined ? 1 : 3),
        storage: STORAGE[storage],
      }),
    );
    return "created";
  }

  async #mend(asset: Asset, info: StreamInfo, options: InitOptions): Promise<"updated" | "kept"> {
    const changes = changesTo(asset, info.config, options);
    if (Object.keys(changes).length === 0) return "kept";
    try {
      const config = { ...info.config, ...changes };
      await this.#managed(`update ${asset.name}`, () => this.#options.jsm.streams.update(asset.name, config));
    } catch (error) {
      if (jsCode(error) === undefined) throw error;
      const listed = findProblems(asset, info.config).map((problem) => problem.message);
      throw new OrchestraError(
        "ORCH_BUS_ASSETS",
        `${asset.name} cannot be changed in place (${(error as Error).message}): ${listed.join("; ")}. ` +
          `Once its sessions are no longer needed: orchestra nats purge, then orchestra nats init`,
        { cause: error, details: { asset: asset.name } },
      );
    }
    return "updated";
  }

  async #infoOf(name: string): Promise<StreamInfo | undefined | "hidden"> {
    try {
      return await this.#managed(`look at ${name}`, () => this.#options.jsm.streams.info(name));
    } catch (error) {
      if (jsCode(error) === JS_CODE.streamNotFound) return undefined;
      if (violationIn(error) !== undefined) return "hidden";
      throw error;
    }
  }

  /** A call to the management interface, tried again while no leader answers it or servers are still coming up. Calls of ours may be repeated. */
  async #managed<T>(what: string, call: () => Promise<T>): Promise<T> {
    const { nc, clock, patienceMs } = this.#options;
    const untilMs = clock.monotonicMs() + patienceMs;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (isNobodyThere(error) && nc.info?.jetstream !== true) throw jetStreamOff(nc, error);
        const mayPass = isUnanswered(error) || isPeerOffline(error);
        if (!mayPass || nc.isClosed() || clock.monotonicMs() + RETRY_MS > untilMs) throw busError(error, what);
        await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
      }
    }
  }
}

function changesTo(asset: Asset, stored: StreamConfig, options: InitOptions): Partial<StreamConfig> {
  const changes: Record<string, unknown> = {};
  for (const { setting } of findProblems(asset, stored))
    if (setting !== undefined) changes[setting] = asset.config[setting as keyof Asset["config"]];
  if (options.replicas !== undefined && stored.num_replicas !== options.replicas)
    changes["num_replicas"] = options.replicas;
  if (options.leaseMs !== undefined && asset.isLease && stored.max_age !== asset.config.max_age)
    Object.assign(changes, { max_age: asset.config.max_age, duplicate_window: asset.config.duplicate_window });
  return changes;
}

function jetStreamOff(nc: NatsConnection, cause: unknown): OrchestraError {
  return new OrchestraError(
    "ORCH_BUS_SERVER",
    `the NATS server at ${nc.getServer()} runs without JetStream; start it with "nats-server -js", or put ` +
      `"jetstream { store_dir: … }" into its configuration`,
    { cause },
  );
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
