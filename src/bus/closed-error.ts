import { OrchestraError } from "../base/errors.ts";

export function closedError(what: string): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", `bus: ${what} after close`);
}
