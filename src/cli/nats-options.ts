// Where NATS is, as the command line says it, and `orchestra/nats`, loaded by those commands that need it.

import { InvalidArgumentError, type Command } from "commander";

import type * as nats from "../nats/index.ts";
import type { NatsConnectOptions } from "../nats/index.ts";
import { optionalPackage } from "../base/optional-package.ts";
import { UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";

export interface NatsFlags {
  readonly servers?: string;
  /** The same, of commands that are not about NATS itself. */
  readonly nats?: string;
  readonly tenant?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly inboxPrefix?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Adds the options that say where NATS is, and who asks. */
export function onNats(command: Command, flag: "--servers" | "--nats" = "--servers"): Command {
  return command
    .option(`${flag} <urls>`, "addresses of NATS, separated by commas (or the variable ORCHESTRA_NATS)")
    .option("--tenant <name>", "whose sessions, where several share NATS (or ORCHESTRA_NATS_TENANT)")
    .option("--creds <file>", "credentials: JWT and seed (or ORCHESTRA_NATS_CREDS)")
    .option("--nkey <file>", "credentials: the seed of an nkey")
    .option("--inbox-prefix <prefix>", "where answers arrive, for users who may not share _INBOX")
    .option("--tls-ca <file>", "authority to trust, PEM")
    .option("--tls-cert <file>", "certificate to show, PEM")
    .option("--tls-key <file>", "its key, PEM");
}

/** Undefined where neither `--servers` (or `--nats`) nor ORCHESTRA_NATS names a server. */
export function natsOptions(flags: NatsFlags, io: Io): NatsConnectOptions | undefined {
  const servers = flags.servers ?? flags.nats ?? given(io, "ORCHESTRA_NATS");
  if (servers === undefined) return undefined;
  const tenant = flags.tenant ?? given(io, "ORCHESTRA_NATS_TENANT");
  const creds = flags.creds ?? (flags.nkey === undefined ? given(io, "ORCHESTRA_NATS_CREDS") : undefined);
  const { nkey, inboxPrefix, tlsCa: caFile, tlsCert: certFile, tlsKey: keyFile } = flags;
  const tls = {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
  };
  return {
    servers,
    ...(tenant !== undefined && { tenant }),
    ...(creds !== undefined && { creds }),
    ...(nkey !== undefined && { nkey }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
}

/** @throws {UsageError} */
export function requiredNats(flags: NatsFlags, io: Io): NatsConnectOptions {
  const options = natsOptions(flags, io);
  if (options === undefined)
    throw new UsageError("which NATS? Name it with its addresses (nats://HOST:4222), or in ORCHESTRA_NATS");
  return options;
}

const PACKAGES = ["@nats-io/transport-node", "@nats-io/jetstream", "@nats-io/kv", "@nats-io/obj"];

/** @throws {OrchestraError} `ORCH_PACKAGE_MISSING` with the command that installs what is not there. */
export function loadNats(): Promise<typeof nats> {
  return optionalPackage(PACKAGES, () => import("../nats/index.ts"));
}

export function replicaCount(text: string): 1 | 3 | 5 {
  const count = Number(text);
  if (count === 1 || count === 3 || count === 5) return count;
  throw new InvalidArgumentError("expected 1, 3 or 5");
}

function given(io: Io, variable: string): string | undefined {
  const value = io.env[variable];
  return value === "" ? undefined : value;
}
