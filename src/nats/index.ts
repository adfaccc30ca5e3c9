// What `orchestra/nats` offers.

export { natsBus } from "./nats-bus.ts";
export type { NatsBus } from "./nats-bus.ts";
export type { InitOptions, NatsBusOptions, NatsConnectOptions } from "./options.ts";

// For operators
export { openNatsAdmin } from "./admin.ts";
export type { CheckedAsset, NatsAdmin, NatsCheck } from "./admin.ts";
export type { InitReport } from "./assets-admin.ts";
export type { AssetProblem } from "./assets-check.ts";
export { natsPermissions, ROLES } from "./permissions.ts";
export type { NatsPermissionOptions, NatsPermissions, Role } from "./permissions.ts";
