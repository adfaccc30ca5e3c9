// What the parts of the bus are made of.

import type { NatsLink } from "./link.ts";
import type { BusSettings } from "./options.ts";
import type { Spill } from "./spill.ts";

export interface NatsParts {
  readonly link: NatsLink;
  readonly spill: Spill;
  readonly settings: BusSettings;
}
