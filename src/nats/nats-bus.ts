import { CLOSE_MS } from "../base/finished-within.ts";
import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import { createBusPorts } from "./bus-ports.ts";
import { createLink, type NatsLink } from "./link.ts";
import { resolveBusOptions, type NatsBusOptions } from "./options.ts";
import type { NatsParts } from "./parts.ts";
import { createSessionStore } from "./session-store.ts";
import { createSpill } from "./spill.ts";

export interface NatsBus extends Bus {
  readonly link: NatsLink;
  /** The logs of all sessions on the bus. Closing it leaves the bus connected. */
  readonly sessions: SessionStore;
  /** Connects and verifies now rather than at first use. @throws as `NatsLink.connected`. */
  open(): Promise<void>;
  /** Within 5 s, also where the server does not answer: what it acknowledged stays, the rest fails with `ORCH_CLOSED`. */
  close(): Promise<void>;
}

/**
 * The bus that lets one program run on many hosts, over NATS JetStream. Connects at first use.
 * @throws {OrchestraError} `ORCH_BAD_OPTION`
 */
export function natsBus(options: NatsBusOptions): NatsBus {
  const settings = resolveBusOptions(options);
  const link = createLink(settings);
  const status: NonNullable<Bus["status"]> = {
    // Before the first call nothing is cut off: it connects.
    now: () => (link.status === "idle" ? "connected" : link.status),
    watch: (onChange) => link.onStatus(() => onChange(status.now())),
  };
  const parts: NatsParts = { link, spill: createSpill(link), settings };
  const ports = createBusPorts(parts);
  return {
    ...ports,
    name: "nats",
    link: parts.link,
    sessions: createSessionStore(link, { syncAlways: settings.syncAlways }),
    status,
    async open() {
      await link.connected();
    },
    async close() {
      const untilMs = link.clock.monotonicMs() + CLOSE_MS;
      await ports.close();
      await link.close(Math.max(0, untilMs - link.clock.monotonicMs()));
    },
  };
}
