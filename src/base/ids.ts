import type { Clock } from "./clock.ts";
import { OrchestraError } from "./errors.ts";
import type { Random } from "./random.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type SessionId = Branded<"SessionId">;
/** `<run>.<generation>.<counter>`, unique within its session and the same on every replay. */
export type StepId = Branded<"StepId">;

export interface Ids {
  /** A new id, unique and sortable by the time of its making: `<prefix>_<10 characters of time><10 of chance>`. */
  next(prefix: string): string;
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

// Layout as in the ULID specification: time first, so that ids sort by age; Crockford's alphabet.
export function createIds(clock: Clock, random: Random): Ids {
  return {
    next(prefix) {
      let time = Math.max(0, Math.floor(clock.nowMs()));
      let stamp = "";
      for (let i = 0; i < 10; i++) {
        stamp = ALPHABET.charAt(time % 32) + stamp;
        time = Math.floor(time / 32);
      }
      let chance = "";
      for (let i = 0; i < 10; i++) chance += ALPHABET.charAt(Math.floor(random.next() * 32));
      return `${prefix}_${stamp}${chance}`;
    },
  };
}

const SESSION_ID = /^[\p{L}\p{N}_.:@+-]{1,200}$/u;

export function isSessionId(text: unknown): text is SessionId {
  return typeof text === "string" && SESSION_ID.test(text);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` unless 1 to 200 letters, digits or `_ . : @ + -`. */
export function parseSessionId(text: unknown): SessionId {
  if (!isSessionId(text)) {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `sessionId: expected 1 to 200 letters, digits or _ . : @ + -, got ${JSON.stringify(text)}`,
    );
  }
  return text;
}

export function stepIdOf(run: number, generation: number, step: number): StepId {
  return `${run}.${generation}.${step}` as StepId;
}

/** Whether the step is of this run and generation of its session, or of those before. */
export function isStepUpTo(stepId: string, run: number, generation: number): boolean {
  const [ofRun = Infinity, ofGeneration = Infinity] = stepId.split(".").map(Number);
  return ofRun <= run && ofGeneration <= generation;
}

/** The step's own number, when it belongs to this run and generation. Asked several times per step: digit by digit, without garbage. */
export function stepNumberOf(stepId: string, run: number, generation: number): number | undefined {
  let part = 0;
  let number = 0;
  for (let i = 0; i < stepId.length; i++) {
    const digit = stepId.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      number = number * 10 + digit;
      continue;
    }
    if (stepId[i] !== "." || part === 2 || number !== (part === 0 ? run : generation)) return undefined;
    part++;
    number = 0;
  }
  return part === 2 && !stepId.endsWith(".") ? number : undefined;
}
