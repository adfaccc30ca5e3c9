type Log = (fields: Record<string, unknown>, message: string) => void;

/** The part of pino's interface that Orchestra uses; a pino logger fits as it is. */
export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
  child(fields: Record<string, unknown>): Logger;
}

const nothing: Log = () => undefined;

/** Discards everything. The default in code; the CLI hands in pino. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
