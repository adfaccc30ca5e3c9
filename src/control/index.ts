// The public names of `orchestra/control`, written out: a store that one process has open, steered from another.

export { serveControl } from "./server.ts";
export type { ControlServer } from "./server.ts";
export { connectControl } from "./client.ts";
export type { ControlClient } from "./client.ts";
export { operationsOf } from "./operations.ts";
export type { DiffView, EventView, Operations, SessionStatus, SessionView, StepView, WhyView } from "./operations.ts";
