// Migrations: sessions begun with an earlier topology go on with the present one, where their owner said so.

import { OrchestraError } from "../base/errors.ts";
import type { TopologyInput } from "../topology/read.ts";
import { Topology } from "./topology.ts";
import type { TopologyData } from "../topology/types.ts";
import { check, isRecord, list, object, required } from "./option-schema.ts";

/** Sessions of one earlier topology go on with that of the instance. */
export interface Migration {
  /** The earlier topology, or its `hash`. */
  readonly from: string | TopologyInput;
  /** Nodes that have another name now: old name → new name. */
  readonly nodes?: Readonly<Record<string, string>>;
}

/** Where the sessions of one topology are to go on. */
export interface MigrationTarget {
  readonly topology: TopologyData;
  readonly topologyHash: string;
  readonly nodes: Readonly<Record<string, string>>;
}

/** By the hash of the topology they leave. */
export type Migrations = ReadonlyMap<string, MigrationTarget>;

const HASH = /^[0-9a-f]{64}$/;

export const migrationsSchema = list(
  object({
    from: required(
      (value) => (typeof value === "string" ? HASH.test(value) : value != null),
      "a topology, or its hash (64 hexadecimal digits)",
    ),
    nodes: check(
      (value) => isRecord(value) && Object.values(value).every((name) => typeof name === "string"),
      "an object of new names by old name",
    ),
  }),
);

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when two of them speak of one topology. */
export function resolveMigrations(given: readonly Migration[], to: Topology): Migrations {
  const migrations = new Map<string, MigrationTarget>();
  for (const [i, { from, nodes = {} }] of given.entries()) {
    const hash = typeof from === "string" ? from : Topology.from(from).hash;
    if (migrations.has(hash))
      throw new OrchestraError("ORCH_BAD_OPTION", `migrations.${i}: there is one from ${hash} already`, {
        details: { from: hash },
      });
    migrations.set(hash, { topology: to.data, topologyHash: to.hash, nodes });
  }
  return migrations;
}
