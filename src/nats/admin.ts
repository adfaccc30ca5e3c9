// What an operator does to NATS: look, prepare, remove.

import { jetstreamManager } from "@nats-io/jetstream";
import { systemClock } from "../base/clock.ts";
import { AssetAdmin, type InitReport } from "./assets-admin.ts";
import type { AssetProblem } from "./assets-check.ts";
import { openConnection } from "./connection.ts";
import { resolveConnectOptions, resolveInitOptions, type InitOptions, type NatsConnectOptions } from "./options.ts";
import { assertServer } from "./server-version.ts";

export interface CheckedAsset {
  readonly name: string;
  /** What it is for. */
  readonly job: string;
  readonly exists: boolean;
  readonly replicas?: number;
  readonly storage?: string;
  readonly messages?: number;
  readonly bytes?: number;
  readonly problems: readonly AssetProblem[];
}

export interface NatsCheck {
  readonly ok: boolean;
  readonly server: { readonly url: string; readonly version: string; readonly cluster: string | undefined };
  /** What is tolerated, but should be changed. */
  readonly warnings: readonly string[];
  readonly assets: readonly CheckedAsset[];
}

export interface NatsAdmin extends AsyncDisposable {
  /** @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`, `ORCH_BUS_SERVER` */
  check(options?: { readonly replicas?: number }): Promise<NatsCheck>;
  /** Makes what is missing and mends what can be changed. @throws {OrchestraError} `ORCH_BUS_ASSETS`, `ORCH_BUS_DENIED` and those of `check`. */
  init(options?: InitOptions): Promise<readonly InitReport[]>;
  /** Removes every stream and bucket of the tenant (of the namespace without one), sessions included. Returns their names. */
  purge(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/**
 * Connects with the rights of an operator.
 * @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_BUS_UNREACHABLE`, `ORCH_BUS_DENIED`, `ORCH_BUS_SERVER`.
 */
export async function openNatsAdmin(options: NatsConnectOptions): Promise<NatsAdmin> {
  const settings = resolveConnectOptions(options);
  const clock = systemClock();
  const nc = await openConnection(settings, clock);
  const close = (): Promise<void> => nc.close();
  try {
    const version = nc.info?.version ?? "unknown";
    const warning = assertServer({ version, clustered: nc.info?.cluster !== undefined });
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const { names, connectTimeoutMs: patienceMs } = settings;
    const assets = new AssetAdmin({ nc, jsm, names, clock, patienceMs });
    return {
      async check({ replicas } = {}) {
        const checked = (await assets.read()).map(({ asset, info, hidden, problems }): CheckedAsset => {
          const wrong = [...problems];
          const found = info?.config.num_replicas;
          if (replicas !== undefined && found !== undefined && found !== replicas)
            wrong.push({
              asset: asset.name,
              setting: "num_replicas",
              expected: replicas,
              found,
              message: `${asset.name}: num_replicas is ${found}, expected ${replicas}`,
            });
          return {
            name: asset.name,
            job: asset.job,
            exists: hidden || info !== undefined,
            ...(info !== undefined && {
              replicas: info.config.num_replicas,
              storage: info.config.storage,
              messages: info.state.messages,
              bytes: info.state.bytes,
            }),
            problems: wrong,
          };
        });
        return {
          ok: checked.every(({ problems }) => problems.length === 0),
          server: { url: nc.getServer(), version, cluster: nc.info?.cluster },
          warnings: warning === undefined ? [] : [warning],
          assets: checked,
        };
      },
      init: (given = {}) => assets.init(resolveInitOptions(given)),
      purge: () => assets.purge(),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
