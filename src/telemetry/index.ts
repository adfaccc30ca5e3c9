// What `orchestra/telemetry` offers.

// OpenTelemetry
export { createSpanObserver } from "./span-observer.ts";
export type { SpanObserver, SpanObserverOptions } from "./span-observer.ts";
export { traceparentOf } from "./trace-ids.ts";

// Files
export { traceFile } from "./trace-file.ts";
export type { TraceFile, TraceFileOptions } from "./trace-file.ts";

// Logs
export { createLogger, DEFAULT_REDACTED } from "./logger.ts";
export type { LoggerOptions } from "./logger.ts";
