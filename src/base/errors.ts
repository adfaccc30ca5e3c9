// Errors
//
// One class, one stable code per decision a caller can take. `docs/errors.md` explains each code;
// a test compares the two lists both ways.

/** Every code Orchestra can raise. Codes never change meaning; messages may. */
export const ERROR_CODES = [
  "ORCH_AGENT_FAILED",
  "ORCH_AGENT_UNKNOWN",
  "ORCH_AMBIGUOUS_ANSWER",
  "ORCH_ANSWER_INVALID",
  "ORCH_BAD_OPTION",
  "ORCH_BUDGET",
  "ORCH_BUS_ASSETS",
  "ORCH_BUS_DENIED",
  "ORCH_BUS_PAYLOAD",
  "ORCH_BUS_SERVER",
  "ORCH_BUS_UNREACHABLE",
  "ORCH_CANCELLED",
  "ORCH_CASSETTE",
  "ORCH_CHECKPOINT_UNKNOWN",
  "ORCH_CLOSED",
  "ORCH_COMMAND_FAILED",
  "ORCH_CONDITION",
  "ORCH_CONDITION_UNKNOWN",
  "ORCH_CONTROL",
  "ORCH_CONVERGENCE",
  "ORCH_DRAINING",
  "ORCH_EMPTY_PARALLEL",
  "ORCH_ENDPOINT_REFUSED",
  "ORCH_FENCED",
  "ORCH_INVALID_INPUT",
  "ORCH_INVALID_OUTPUT",
  "ORCH_LOOP_BOUND",
  "ORCH_MAX_STEPS",
  "ORCH_MEMORY_EMBEDDER",
  "ORCH_MEMORY_PROVENANCE",
  "ORCH_MIGRATION",
  "ORCH_MODEL_FAILED",
  "ORCH_NOT_SERIALIZABLE",
  "ORCH_NO_ROUTE",
  "ORCH_OVERLOADED",
  "ORCH_PACKAGE_MISSING",
  "ORCH_PAYLOAD_TOO_LARGE",
  "ORCH_POOL_TIMEOUT",
  "ORCH_QUESTION_EXPIRED",
  "ORCH_QUESTION_UNKNOWN",
  "ORCH_REMOTE_FAILED",
  "ORCH_ROUTE_FORBIDDEN",
  "ORCH_ROUTE_MIXED",
  "ORCH_SESSION_BUSY",
  "ORCH_SESSION_STATE",
  "ORCH_SESSION_UNKNOWN",
  "ORCH_STEP_POISON",
  "ORCH_STEP_UNSERVED",
  "ORCH_STORE_CORRUPT",
  "ORCH_STORE_FAILED",
  "ORCH_STORE_LOCKED",
  "ORCH_STORE_VERSION",
  "ORCH_TIMEOUT",
  "ORCH_TOOL_FAILED",
  "ORCH_TOOL_OUTCOME_UNKNOWN",
  "ORCH_TOOL_REFUSED",
  "ORCH_TOOL_SERVER",
  "ORCH_TOPOLOGY_INVALID",
] as const;

export type OrchestraErrorCode = (typeof ERROR_CODES)[number];

export interface OrchestraErrorOptions extends ErrorOptions {
  /** Ids and figures that help a reader of the log; plain data only. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class OrchestraError extends Error {
  override readonly name: string = "OrchestraError";
  readonly code: OrchestraErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: OrchestraErrorCode, message: string, options: OrchestraErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Where the code is explained. */
  get docs(): string {
    return `docs/errors.md#${this.code.toLowerCase()}`;
  }
}

export function isOrchestraError(error: unknown, code?: OrchestraErrorCode): error is OrchestraError {
  return error instanceof OrchestraError && (code === undefined || error.code === code);
}

/** An error as plain data: what is stored, sent and shown. */
export interface ErrorData {
  readonly code: string;
  readonly message: string;
  readonly name?: string;
  readonly node?: string;
  readonly branchId?: string;
  readonly stack?: string;
  readonly data?: unknown;
  readonly cause?: ErrorData;
}

/** Closes a `switch` over a closed union; reaching it is a defect of ours. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
