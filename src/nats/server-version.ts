// Which servers can carry a session. Everything below the floor either loses data or was never tried.

import { OrchestraError } from "../base/errors.ts";

export const SERVER_FLOOR = "2.10.27";
/** The one version below the floor that is sound as long as it stands alone: Debian 12 comes with it. */
const ALONE_FLOOR = "2.9.10";

export interface ServerFacts {
  readonly version: string;
  /** The server is one of a cluster. */
  readonly clustered: boolean;
}

export type ServerVerdict =
  | { readonly type: "good" }
  | { readonly type: "tolerated"; readonly reason: string }
  | { readonly type: "refused"; readonly reason: string };

const REMEDY = `install nats-server ${SERVER_FLOOR} or newer (2.12 or newer is recommended)`;

export function decideServer({ version, clustered }: ServerFacts): ServerVerdict {
  const parts = parseVersion(version);
  if (parts === null)
    return { type: "tolerated", reason: `nats-server calls its version "${version}", which is unknown` };
  if (compare(parts, SERVER_FLOOR) >= 0) return { type: "good" };
  if (compare(parts, "2.10.0") < 0 && compare(parts, ALONE_FLOOR) >= 0) {
    if (!clustered)
      return { type: "tolerated", reason: `nats-server ${version} is no longer maintained; ${REMEDY} when you can` };
    return {
      type: "refused",
      reason:
        `nats-server ${version} is clustered, and replicated streams of 2.9 let several writers win the same ` +
        `compare-and-set: two hosts could write one session. As a remedy ${REMEDY} on every server of the cluster`,
    };
  }
  return {
    type: "refused",
    reason: `nats-server ${version} is too old: versions before ${SERVER_FLOOR} can lose streams when they are stopped; ${REMEDY}`,
  };
}

/** @throws {OrchestraError} `ORCH_BUS_SERVER` with the reason and the remedy. Returns what to warn of, if anything. */
export function assertServer(facts: ServerFacts): string | undefined {
  const verdict = decideServer(facts);
  switch (verdict.type) {
    case "good":
      return undefined;
    case "tolerated":
      return verdict.reason;
    case "refused":
      throw new OrchestraError("ORCH_BUS_SERVER", verdict.reason, {
        details: { ...facts, floor: SERVER_FLOOR },
      });
  }
}

function parseVersion(version: string): readonly number[] | null {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return found === null ? null : found.slice(1, 4).map(Number);
}

function compare(parts: readonly number[], other: string): number {
  for (const [i, part] of other.split(".").map(Number).entries()) {
    const difference = (parts[i] ?? 0) - part;
    if (difference !== 0) return difference;
  }
  return 0;
}
