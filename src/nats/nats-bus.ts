import type { Bus } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import { createLink, type NatsLink } from "./link.ts";
import { resolveBusOptions, type BusSettings, type NatsBusOptions } from "./options.ts";
import { createSessionStore } from "./session-store.ts";
import { createSpill, type Spill } from "./spill.ts";

/** What the parts of the bus are made of. */
export interface NatsParts {
  readonly link: NatsLink;
  readonly spill: Spill;
  readonly settings: BusSettings;
}

export interface NatsBus extends Partial<Omit<Bus, "name" | "close">> {
  readonly name: string;
  readonly link: NatsLink;
  /** The logs of all sessions on the bus. Closing it leaves the bus connected. */
  readonly sessions: SessionStore;
  /** Connects and verifies now rather than at first use. @throws as `NatsLink.connected`. */
  open(): Promise<void>;
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
  return {
    name: "nats",
    link: parts.link,
    sessions: createSessionStore(link, { syncAlways: settings.syncAlways }),
    status,
    async open() {
      await link.connected();
    },
    close: () => link.close(),
  };
}
