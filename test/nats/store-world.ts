// A session store on a real server, and everything a test may want to do behind its back.

import { createLink, type NatsLink } from "../../src/nats/link.ts";
import { streamOfBucket } from "../../src/nats/assets.ts";
import { resolveBusOptions, type NatsBusOptions } from "../../src/nats/options.ts";
import { createSessionStore, type NatsStoreOptions } from "../../src/nats/session-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";

export interface StoreWorld {
  readonly link: NatsLink;
  readonly store: SessionStore;
  close(): Promise<void>;
}

export function openStore(
  servers: string | readonly string[],
  options: Partial<NatsBusOptions> & NatsStoreOptions = {},
): StoreWorld {
  const { patienceMs = 60_000, ackTimeoutMs = 1_000, ...bus } = options;
  const link = createLink(resolveBusOptions({ servers, init: true, connectTimeoutMs: 60_000, ...bus }));
  const store = createSessionStore(link, { patienceMs, ackTimeoutMs });
  return {
    link,
    store,
    async close() {
      await store.close();
      await link.close();
    },
  };
}

/** Removes all that a store keeps; quicker than streams of its own for every test. */
export async function emptied(link: NatsLink): Promise<void> {
  const { jsm } = await link.connected();
  const { streams, buckets } = link.names;
  const names = [
    streams.log,
    streams.blobs,
    ...[buckets.sessions, buckets.snapshots, buckets.checkpoints].map(streamOfBucket),
  ];
  await Promise.all(names.map((name) => jsm.streams.purge(name)));
}
