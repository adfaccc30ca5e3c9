// What `orchestra/nats` offers.

export { natsBus } from "./nats-bus.ts";
export type { NatsBus } from "./nats-bus.ts";
export type { InitOptions, NatsBusOptions, NatsConnectOptions } from "./options.ts";
