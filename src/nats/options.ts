// Options of the bus, checked when it is made rather than when it first connects.

import { z } from "zod";
import { systemClock, type Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { systemRandom, type Random } from "../base/random.ts";
import { namesOf, type Names } from "./names.ts";

/** How to reach NATS, and as whom. */
export interface NatsConnectOptions {
  /** `"nats://127.0.0.1:4222"`, several separated by commas or as a list. `nats://user:password@…` is understood. */
  readonly servers: string | readonly string[];
  /** Keeps this program's sessions apart from those of others on the same account. Default: none. */
  readonly tenant?: string;
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** Path of a `.creds` file (JWT and seed). Read anew at each connect, so that it may be rotated. */
  readonly creds?: string;
  /** Path of a file with the seed of an nkey. Read anew at each connect. */
  readonly nkey?: string;
  /** `true`: TLS with the machine's own authorities. Paths are of PEM files. */
  readonly tls?:
    | boolean
    | {
        readonly caFile?: string;
        readonly certFile?: string;
        readonly keyFile?: string;
        /** TLS before the server says anything; the server must be set so, too. Default false. */
        readonly handshakeFirst?: boolean;
      };
  /** Where answers to this process arrive. Give each user its own where users must not see each other's. Default `_INBOX`. */
  readonly inboxPrefix?: string;
  /** Shown in the server's list of connections. Default `orchestra`. */
  readonly name?: string;
  /** How long the first connection, and a call while the connection is being made again, waits before it fails. Default 10_000. */
  readonly connectTimeoutMs?: number;
  /** A connection that no longer answers is given up after at most twice this time. Default 5_000. */
  readonly pingIntervalMs?: number;
}

export interface InitOptions {
  /** Copies of each stream. Default 3 on a clustered server, else 1. */
  readonly replicas?: 1 | 3 | 5;
  /** `memory` survives no restart of the server. Default `file`. */
  readonly storage?: "file" | "memory";
  /** How long a host that no longer renews counts as alive. Default 15_000. */
  readonly leaseMs?: number;
  /** Agents whose consumers are created, too: their workers then need no right to create them. Default: none. */
  readonly agents?: readonly string[];
}

export interface NatsBusOptions extends NatsConnectOptions {
  /**
   * Creates streams and buckets that are missing, for a server of one's own; needs the rights of an operator. Default
   * false: `orchestra nats init` creates them, and a bus only verifies.
   */
  readonly init?: boolean | InitOptions;
  /** Hands a step to this process without touching the bus when it serves the agent and has a free slot. Default true. */
  readonly localFirst?: boolean;
  /**
   * A step not beaten for this long is handed to another worker. Default 30_000. Hosts beat every 5_000: with less than
   * twice that, steps that are well run twice.
   */
  readonly ackWaitMs?: number;
  /** How often a step is handed out before it becomes a dead letter. Default 10. */
  readonly maxDelivery?: number;
  /** How often this host says that it is alive. Default 4_000. */
  readonly renewMs?: number;
  /** The server writes to disk before it acknowledges (`sync_interval: always`), which a client cannot see. Default false. */
  readonly syncAlways?: boolean;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

export type Authentication =
  | { readonly by: "none" }
  | { readonly by: "user"; readonly user: string; readonly pass: string }
  | { readonly by: "token"; readonly token: string }
  | { readonly by: "creds"; readonly file: string }
  | { readonly by: "nkey"; readonly file: string };

/** What a link needs: the options with their defaults. */
export interface ConnectSettings {
  readonly servers: readonly string[];
  readonly names: Names;
  readonly authentication: Authentication;
  readonly tls: Exclude<NatsConnectOptions["tls"], boolean | undefined> | undefined;
  readonly inboxPrefix: string;
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
}

/** The options of a bus with their defaults. */
export interface BusSettings extends ConnectSettings {
  readonly init: InitOptions | undefined;
  readonly localFirst: boolean;
  readonly ackWaitMs: number;
  readonly maxDelivery: number;
  readonly renewMs: number;
  readonly syncAlways: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

export const DEFAULT_BUS_SETTINGS = Object.freeze({
  inboxPrefix: "_INBOX",
  name: "orchestra",
  connectTimeoutMs: 10_000,
  pingIntervalMs: 5_000,
  localFirst: true,
  ackWaitMs: 30_000,
  maxDelivery: 10,
  renewMs: 4_000,
  syncAlways: false,
});

const text = z.string().min(1);
const durationMs = z.number().positive().finite();
const init = z.strictObject({
  replicas: z.union([z.literal(1), z.literal(3), z.literal(5)]).optional(),
  storage: z.enum(["file", "memory"]).optional(),
  leaseMs: durationMs.optional(),
  agents: z.array(text).optional(),
});
const connectFields = {
  servers: z.union([text, z.array(text).min(1)]),
  tenant: text.optional(),
  user: text.optional(),
  pass: z.string().optional(),
  token: text.optional(),
  creds: text.optional(),
  nkey: text.optional(),
  tls: z
    .union([
      z.boolean(),
      z.strictObject({
        caFile: text.optional(),
        certFile: text.optional(),
        keyFile: text.optional(),
        handshakeFirst: z.boolean().optional(),
      }),
    ])
    .optional(),
  inboxPrefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, "expected tokens of letters, digits, _ and -, separated by dots")
    .optional(),
  name: text.optional(),
  connectTimeoutMs: durationMs.optional(),
  pingIntervalMs: durationMs.optional(),
};
const connectSchema = z.strictObject(connectFields);
const busSchema = z.strictObject({
  ...connectFields,
  init: z.union([z.boolean(), init]).optional(),
  localFirst: z.boolean().optional(),
  ackWaitMs: durationMs.optional(),
  maxDelivery: z.number().int().min(1).optional(),
  renewMs: durationMs.optional(),
  syncAlways: z.boolean().optional(),
  logger: z.custom<Logger>(isObject, "expected a logger").optional(),
  clock: z.custom<Clock>(isObject, "expected a clock").optional(),
  random: z.custom<Random>(isObject, "expected a source of chance").optional(),
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` naming the option, what was expected and what was found. */
export function resolveBusOptions(options: NatsBusOptions): BusSettings {
  const given = read(busSchema, options);
  const { init: wanted, logger, clock, random } = options;
  return {
    ...connectSettings(options),
    init: wanted === undefined || wanted === false ? undefined : wanted === true ? {} : wanted,
    localFirst: given.localFirst ?? DEFAULT_BUS_SETTINGS.localFirst,
    ackWaitMs: given.ackWaitMs ?? DEFAULT_BUS_SETTINGS.ackWaitMs,
    maxDelivery: given.maxDelivery ?? DEFAULT_BUS_SETTINGS.maxDelivery,
    renewMs: given.renewMs ?? DEFAULT_BUS_SETTINGS.renewMs,
    syncAlways: given.syncAlways ?? DEFAULT_BUS_SETTINGS.syncAlways,
    logger: logger ?? silentLogger,
    clock: clock ?? systemClock(),
    random: random ?? systemRandom(),
  };
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function resolveConnectOptions(options: NatsConnectOptions): ConnectSettings {
  read(connectSchema, options);
  return connectSettings(options);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function resolveInitOptions(options: InitOptions): InitOptions {
  read(init, options);
  return options;
}

function connectSettings(options: NatsConnectOptions): ConnectSettings {
  const { servers, fromUrl } = readServers(options.servers);
  const { tls } = options;
  return {
    servers,
    names: namesOf({ tenant: options.tenant }),
    authentication: readAuthentication({ ...fromUrl, ...options }),
    tls: tls === undefined || tls === false ? undefined : tls === true ? {} : tls,
    inboxPrefix: options.inboxPrefix ?? DEFAULT_BUS_SETTINGS.inboxPrefix,
    name: options.name ?? DEFAULT_BUS_SETTINGS.name,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_BUS_SETTINGS.connectTimeoutMs,
    pingIntervalMs: options.pingIntervalMs ?? DEFAULT_BUS_SETTINGS.pingIntervalMs,
  };
}

function readServers(given: string | readonly string[]): {
  readonly servers: readonly string[];
  readonly fromUrl: { readonly user?: string; readonly pass?: string; readonly token?: string };
} {
  const all = (typeof given === "string" ? given.split(",") : [...given]).map((one) => one.trim()).filter(Boolean);
  if (all.length === 0) throw bad("servers", `expected at least one address, got ${JSON.stringify(given)}`);
  let fromUrl = {};
  const servers = all.map((one) => {
    const url = parseAddress(one);
    if (url.password !== "")
      fromUrl = { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) };
    else if (url.username !== "") fromUrl = { token: decodeURIComponent(url.username) };
    return `${url.protocol}//${url.host}`;
  });
  return { servers, fromUrl };
}

function parseAddress(address: string): URL {
  const wrong = `expected nats://host:port or tls://host:port, got ${JSON.stringify(withoutSecret(address))}`;
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//.test(address) ? address : `nats://${address}`);
  } catch {
    throw bad("servers", wrong);
  }
  if (url.hostname === "" || !/^(nats|tls):$/.test(url.protocol)) throw bad("servers", wrong);
  return url;
}

function withoutSecret(server: string): string {
  return server.replace(/^([a-z]+:\/\/)?[^@]*@/, "$1…@");
}

function readAuthentication(
  given: Pick<NatsConnectOptions, "user" | "pass" | "token" | "creds" | "nkey">,
): Authentication {
  const ways: Authentication[] = [];
  if (given.user !== undefined || given.pass !== undefined) {
    if (given.user === undefined || given.pass === undefined)
      throw bad(given.user === undefined ? "user" : "pass", "expected user and pass together");
    ways.push({ by: "user", user: given.user, pass: given.pass });
  }
  if (given.token !== undefined) ways.push({ by: "token", token: given.token });
  if (given.creds !== undefined) ways.push({ by: "creds", file: given.creds });
  if (given.nkey !== undefined) ways.push({ by: "nkey", file: given.nkey });
  if (ways.length > 1)
    throw bad(ways[1]?.by ?? "", `expected one way to log in, got ${ways.map((way) => way.by).join(" and ")}`);
  return ways[0] ?? { by: "none" };
}

function read<T>(schema: z.ZodType<T>, options: unknown): T {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw bad(issue?.path.join(".") ?? "", issue?.message ?? "");
}

function bad(path: string, message: string): OrchestraError {
  return new OrchestraError("ORCH_BAD_OPTION", `natsBus${path === "" ? "" : `.${path}`}: ${message}`, {
    details: { path },
  });
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
