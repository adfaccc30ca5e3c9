// Assets
//
// The streams and buckets Orchestra keeps on NATS: what each is for and which settings make it safe.
//
// A1  Settings on which something depends that could otherwise be lost or done twice are verified at connect
//     (assets-check.ts). Of the others (bytes, placement, tags) an operator disposes.
// A2  Hosts verify and change nothing.

import { nanos } from "@nats-io/transport-node";
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import type { Names } from "./names.ts";
import { MESSAGE_BYTES_MAX } from "./wire.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
export const DEFAULT_LEASE_MS = 15_000;
/** Payload, subject and headers. */
const STORED_BYTES_MAX = MESSAGE_BYTES_MAX + 128 * 1024;

export interface Asset {
  readonly name: string;
  /** Its `max_age` is the length of a lease, which is for its operator to say. */
  readonly isLease: boolean;
  /** What it is for, in a few words. */
  readonly job: string;
  /** What `init` creates it with, besides replicas and storage. */
  readonly config: AssetConfig;
}

/** Equal settings; of limits (0 or -1: none) the stored one may be larger. */
export type AssetConfig = Pick<
  StreamConfig,
  | "subjects"
  | "retention"
  | "discard"
  | "discard_new_per_subject"
  | "max_msgs_per_subject"
  | "max_msgs"
  | "max_age"
  | "max_msg_size"
  | "duplicate_window"
  | "allow_rollup_hdrs"
  | "allow_direct"
  | "deny_delete"
  | "deny_purge"
>;

const BASE = {
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.New,
  discard_new_per_subject: false,
  max_msgs_per_subject: -1,
  max_msgs: -1,
  max_age: 0,
  max_msg_size: STORED_BYTES_MAX,
  duplicate_window: nanos(2 * 60 * 1000),
  // Whoever may have the server send a stored message anywhere could clear a stream by one.
  allow_rollup_hdrs: false,
  allow_direct: true,
  deny_delete: false,
  deny_purge: false,
} as const;

const WRITE_ONCE = { max_msgs_per_subject: 1, discard_new_per_subject: true } as const;

/** Everything that has to exist, in the order it is created. */
export function assetsOf(names: Names, { leaseMs = DEFAULT_LEASE_MS }: { leaseMs?: number } = {}): readonly Asset[] {
  const { streams, buckets, pattern } = names;
  const stream = (name: string, job: string, config: Partial<AssetConfig> & Pick<AssetConfig, "subjects">): Asset => ({
    name,
    isLease: false,
    job,
    config: { ...BASE, ...config },
  });
  return [
    stream(streams.log, "the log of each session: the truth", { subjects: [pattern("log", "*")] }),
    stream(streams.work, "steps on their way to a worker", {
      subjects: [pattern("work", "*", "*", "*", "*")],
      retention: RetentionPolicy.Workqueue,
      ...WRITE_ONCE,
      max_age: nanos(7 * DAY_MS),
    }),
    stream(streams.results, "the first result of each step", {
      subjects: [pattern("res", "*", "*", "*")],
      ...WRITE_ONCE,
      max_age: nanos(30 * DAY_MS),
    }),
    stream(streams.inbox, "commands to the owners of sessions", {
      subjects: [pattern("in", "*")],
      max_age: nanos(7 * DAY_MS),
    }),
    stream(streams.dead, "steps that nobody could run", {
      subjects: [pattern("dlq", "*", "*", "*", "*"), `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${streams.work}.>`],
      discard: DiscardPolicy.Old,
      max_age: nanos(30 * DAY_MS),
    }),
    stream(streams.blobs, "large values of sessions, by content", {
      subjects: [pattern("blob", ">"), pattern("ref", ">")],
      ...WRITE_ONCE,
    }),
    stream(streams.spill, "payloads too large for one message, by content", {
      subjects: [pattern("spill", "*", "*")],
      max_msgs_per_subject: 1,
      discard: DiscardPolicy.Old,
      max_age: nanos(30 * DAY_MS),
    }),
    bucket(buckets.hosts, "which hosts are alive", leaseMs),
    bucket(buckets.sessions, "the list of sessions"),
    bucket(buckets.snapshots, "snapshots of sessions"),
    bucket(buckets.checkpoints, "checkpoints of sessions"),
  ];
}

/** A bucket is the stream that clients of NATS's key-value store expect (ADR-8). */
function bucket(name: string, job: string, ttlMs?: number): Asset {
  return {
    name: streamOfBucket(name),
    isLease: ttlMs !== undefined,
    job,
    config: {
      ...BASE,
      subjects: [`$KV.${name}.>`],
      max_msgs_per_subject: 1,
      max_msg_size: -1,
      max_age: ttlMs === undefined ? 0 : nanos(ttlMs),
      duplicate_window: nanos(Math.min(ttlMs ?? Infinity, 2 * 60 * 1000)),
      deny_delete: true,
    },
  };
}

export function streamOfBucket(bucket: string): string {
  return `KV_${bucket}`;
}

export const STORAGE = { file: StorageType.File, memory: StorageType.Memory } as const;
