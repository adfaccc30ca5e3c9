// Permissions
//
// Which subjects each role needs: one table, from which the command line prints configuration and by which tests set up
// real servers, so that what is documented is what works.
//
// G1  Everything not listed is denied; what is listed names one tenant only.
// G2  A worker can take the steps of its agents and put results; it may publish neither to a session's log, an inbox nor
//     the queue, and take no step of another agent.
// G3  Permissions do not cover where the server sends its answers: who may ask for anything can have the answer sent to a
//     subject of a stream. Readers take such messages for nothing (store-message.ts); what harm is left only an account of
//     their own keeps out (docs/guides/cluster-security.md).

import { streamOfBucket } from "./assets.ts";
import { OrchestraError } from "../base/errors.ts";
import { agentConsumerName, encodeName, namesOf, type Names } from "./names.ts";

export const ROLES = ["client", "worker", "owner", "operator"] as const;
/** client: starts, steers and watches sessions. worker: runs steps of some agents. owner: a host. operator: prepares NATS. */
export type Role = (typeof ROLES)[number];

export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer requests it received, and nothing else, outside of `publish`. */
  readonly allowResponses: boolean;
}

export interface NatsPermissionOptions {
  readonly tenant?: string;
  /** Of a worker: those whose steps it takes. Default: all. */
  readonly agents?: readonly string[];
  /** As the option of the bus. Users that share one can read each other's answers. Default `_INBOX_<role>`. */
  readonly inboxPrefix?: string;
}

export interface NatsPermissions extends Permissions {
  readonly role: Role;
  readonly inboxPrefix: string;
  /** As they stand in nats-server's configuration, inside of a user. */
  readonly serverConfig: string;
}

/**
 * What a role must be allowed on NATS, everything else denied.
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for an unknown role, no agents, or a tenant that is none.
 */
export function natsPermissions(role: Role, options: NatsPermissionOptions = {}): NatsPermissions {
  if (!ROLES.includes(role))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `role: expected one of ${ROLES.join(", ")}, got ${JSON.stringify(role)}`,
    );
  if (options.agents?.length === 0) throw new OrchestraError("ORCH_BAD_OPTION", "agents: expected at least one name");
  const inboxPrefix = options.inboxPrefix ?? `_INBOX_${role}`;
  const permissions = permissionsOf(role, { names: namesOf(options), agents: options.agents, inboxPrefix });
  return { role, inboxPrefix, ...permissions, serverConfig: serverBlock(permissions) };
}

export interface PermissionOptions {
  readonly names: Names;
  /** A worker's agents; `undefined`: all. Other roles have no need of it. */
  readonly agents?: readonly string[] | undefined;
  /** As the option of the bus. Roles that share one can read each other's answers. */
  readonly inboxPrefix: string;
}

export function permissionsOf(role: Role, options: PermissionOptions): Permissions {
  const { publish, subscribe, allowResponses } = TABLE[role](options);
  const sorted = (subjects: readonly string[]): string[] => [...new Set(subjects)].sort();
  return {
    publish: sorted(publish),
    subscribe: sorted([...subscribe, `${options.inboxPrefix}.>`]),
    allowResponses,
  };
}

const TABLE: Readonly<Record<Role, (options: PermissionOptions) => Permissions>> = { client, worker, owner, operator };

function client({ names }: PermissionOptions): Permissions {
  const { pattern, streams, buckets } = names;
  const sessionBuckets = [buckets.sessions, buckets.snapshots, buckets.checkpoints];
  const sessions = [streams.log, streams.blobs, ...sessionBuckets.map(streamOfBucket)];
  return {
    publish: [
      ...[
        pattern("log", "*"),
        pattern("blob", ">"),
        pattern("ref", ">"),
        pattern("spill", "*", "*"),
        pattern("in", "*"),
      ],
      ...[pattern("ev", "*"), pattern("rpc", "*"), pattern("sig", "*")],
      ...sessionBuckets.map((bucket) => `$KV.${bucket}.>`),
      ...[...sessions, streams.inbox, streams.spill, streamOfBucket(buckets.hosts)].flatMap(scanning),
      ...sessions.flatMap(removing),
    ],
    subscribe: [pattern("ev", "*"), pattern("sig", "*"), `$KV.${buckets.hosts}.*`],
    allowResponses: false,
  };
}

function worker({ names, agents }: PermissionOptions): Permissions {
  const { pattern, streams, buckets } = names;
  const tokens = agents === undefined ? ["*"] : agents.map(encodeName);
  return {
    publish: [
      ...tokens.flatMap((token) => serving(names, token)),
      ...tokens.map((token) => pattern("dlq", token, "*", "*", "*")),
      ...[pattern("res", "*", "*", "*"), pattern("spill", "*", "*")],
      ...[pattern("done", "*"), pattern("ev", "*"), pattern("rpc", "*"), pattern("sig", "*")],
      `$KV.${buckets.hosts}.*`,
      // Inputs above 16 KiB are fetched by content; whether a step is still wanted stands in the list of sessions.
      ...[streams.results, streams.spill, streams.blobs].flatMap(reading),
      ...[buckets.hosts, buckets.sessions].map(streamOfBucket).flatMap(reading),
    ],
    // What is aborted is told by live events.
    subscribe: [pattern("sig", "*"), pattern("ev", "*"), `$KV.${buckets.hosts}.*`],
    allowResponses: false,
  };
}

function owner(options: PermissionOptions): Permissions {
  const { names } = options;
  const { pattern, streams, buckets } = names;
  const all = { ...options, agents: undefined };
  return {
    publish: [
      ...client(all).publish,
      ...worker(all).publish,
      pattern("work", "*", "*", "*", "*"),
      ...[streams.work, streams.dead].flatMap(scanning),
      ...[streams.work, streams.results, streams.inbox, streams.dead].flatMap(removing),
      ...[streams.work, streams.dead].flatMap((stream) => [
        `$JS.API.CONSUMER.LIST.${stream}`,
        `$JS.ACK.${stream}.>`,
        `$JS.ACK.*.*.${stream}.>`,
      ]),
    ],
    subscribe: [
      ...client(all).subscribe,
      ...worker(all).subscribe,
      ...[pattern("done", "*"), pattern("rpc", "*"), pattern("in", "*")],
      `$KV.${buckets.hosts}.*`,
    ],
    allowResponses: true,
  };
}

function operator(options: PermissionOptions): Permissions {
  const { streams, buckets } = options.names;
  const all = [...Object.values(streams), ...Object.values(buckets).map(streamOfBucket)];
  const { publish, subscribe } = owner(options);
  return {
    publish: [
      ...publish,
      ...all.flatMap((stream) => [
        `$JS.API.STREAM.*.${stream}`,
        `$JS.API.STREAM.MSG.*.${stream}`,
        `$JS.API.CONSUMER.*.${stream}.>`,
        `$JS.API.CONSUMER.*.${stream}`,
      ]),
    ],
    subscribe,
    allowResponses: true,
  };
}

/** Looking at a stream, and reading single messages of it. */
function reading(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
  ];
}

/** Reading many at once, by a consumer of one's own where the server has no other way. */
function scanning(stream: string): string[] {
  return [
    ...reading(stream),
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
  ];
}

function removing(stream: string): string[] {
  return [`$JS.API.STREAM.PURGE.${stream}`, `$JS.API.STREAM.MSG.DELETE.${stream}`];
}

/** Taking the steps of one agent. The server holds the filter against the subject that names it. */
function serving({ streams, pattern }: Names, token: string): string[] {
  const consumer = token === "*" ? "*" : agentConsumerName(token);
  return [
    `$JS.API.STREAM.INFO.${streams.work}`,
    `$JS.API.CONSUMER.INFO.${streams.work}.${consumer}`,
    `$JS.API.CONSUMER.CREATE.${streams.work}.${consumer}.${pattern("work", token, "*", "*", "*")}`,
    `$JS.API.CONSUMER.MSG.NEXT.${streams.work}.${consumer}`,
    `$JS.ACK.${streams.work}.${consumer}.>`,
    // The form of acknowledgements that newer servers use: with domain and account.
    `$JS.ACK.*.*.${streams.work}.${consumer}.>`,
  ];
}

/** As they stand in nats-server's configuration, inside of a user. */
export function serverBlock({ publish, subscribe, allowResponses }: Permissions): string {
  const list = (subjects: readonly string[]): string =>
    subjects.map((one) => `      ${JSON.stringify(one)}`).join("\n");
  return [
    "permissions {",
    "  publish {\n    allow: [",
    list(publish),
    "    ]\n  }",
    "  subscribe {\n    allow: [",
    list(subscribe),
    "    ]\n  }",
    // A journal entry is answered once, in less than a minute.
    ...(allowResponses ? ['  allow_responses: { max: 1, expires: "1m" }'] : []),
    "}",
  ].join("\n");
}
