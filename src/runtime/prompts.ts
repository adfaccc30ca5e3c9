// Prompts: questions of which more is known than their text, so that a channel can offer choices and an answer that does
// not fit is refused where it is given. Any other value is a prompt, too: it is shown as it is, and every answer fits.

import { isDeepStrictEqual } from "node:util";

import { OrchestraError, type ErrorData } from "../base/errors.ts";
import { isRecordLike, shown } from "./option-schema.ts";
import { toJsonValue } from "./result-json.ts";

/** Answered with the value of one of the choices. */
export interface ChoicePrompt {
  readonly kind: "choice";
  readonly message: string;
  /** At least one. A text is its own label. */
  readonly choices: readonly (string | Choice)[];
}

export interface Choice {
  readonly value: unknown;
  /** Default: the value as text. */
  readonly label?: string;
  readonly hint?: string;
}

/** Answered with true or false. */
export interface ConfirmPrompt {
  readonly kind: "confirm";
  readonly message: string;
}

/** Answered with a string. */
export interface TextPrompt {
  readonly kind: "text";
  readonly message: string;
  /** Shown where nothing has been typed yet. */
  readonly placeholder?: string;
}

/** May a tool run? Answered with an `ApprovalAnswer`. */
export interface ApprovalPrompt {
  readonly kind: "approval";
  readonly tool: string;
  readonly input: unknown;
  readonly message?: string;
}

export interface ApprovalAnswer {
  readonly approved: boolean;
  readonly reason?: string;
  /** What the tool is run with instead of the prompt's `input`. */
  readonly input?: unknown;
}

/** A step has failed for good: what now? Answered with a `RecoveryAnswer`. */
export interface RecoveryPrompt {
  readonly kind: "recovery";
  /** The node that failed. */
  readonly node: string;
  readonly error: ErrorData;
  readonly message?: string;
}

/**
 * `retry`: the step is tried again. `skip`: its node is passed over as if it had returned `value` (default null).
 * `abort`: the failure stands.
 */
export type RecoveryAnswer =
  | { readonly action: "retry" }
  | { readonly action: "skip"; readonly value?: unknown }
  | { readonly action: "abort" };

export type Prompt = ChoicePrompt | ConfirmPrompt | TextPrompt | ApprovalPrompt | RecoveryPrompt;

export const RECOVERY_ACTIONS = ["retry", "skip", "abort"] as const;

/** The prompt when `value` has the form of one, with its choices written out. */
export function readPrompt(value: unknown): PlainPrompt | undefined {
  const prompt = value as Prompt;
  if (!isRecordLike(value)) return undefined;
  switch (prompt.kind) {
    case "choice":
      if (typeof prompt.message !== "string" || !Array.isArray(prompt.choices) || prompt.choices.length === 0)
        return undefined;
      return prompt.choices.every((choice) => typeof choice === "string" || (isRecordLike(choice) && "value" in choice))
        ? { ...prompt, choices: prompt.choices.map(plainChoice) }
        : undefined;
    case "confirm":
    case "text":
      return typeof prompt.message === "string" ? prompt : undefined;
    case "approval":
      return typeof prompt.tool === "string" ? prompt : undefined;
    case "recovery":
      return typeof prompt.node === "string" && isRecordLike(prompt.error) ? prompt : undefined;
    default:
      return undefined;
  }
}

export type PlainPrompt =
  | (Omit<ChoicePrompt, "choices"> & { readonly choices: readonly PlainChoice[] })
  | Exclude<Prompt, ChoicePrompt>;

export interface PlainChoice {
  readonly value: unknown;
  readonly label: string;
  readonly hint?: string;
}

function plainChoice(choice: string | Choice): PlainChoice {
  if (typeof choice === "string") return { value: choice, label: choice };
  const { value, label, hint } = choice;
  const text = typeof value === "string" ? value : JSON.stringify(toJsonValue(value));
  return { value, label: label ?? text, ...(hint !== undefined && { hint }) };
}

/**
 * The answer in the form whoever asked gets it: of a choice its value, also where its label was given; of `confirm` and
 * `approval` also from words such as `yes` and `no`; of `recovery` also from the word alone.
 *
 * @throws {OrchestraError} `ORCH_ANSWER_INVALID` for an answer that does not fit the prompt.
 */
export function readAnswer(promptValue: unknown, answer: unknown): unknown {
  const prompt = readPrompt(promptValue);
  if (prompt === undefined) return answer;
  switch (prompt.kind) {
    case "choice":
      return chosen(prompt.choices, answer);
    case "confirm":
      return yesOrNo(answer) ?? refuse("true or false", answer);
    case "text":
      if (typeof answer === "string") return answer;
      return typeof answer === "number" || typeof answer === "boolean" ? String(answer) : refuse("a text", answer);
    case "approval":
      return approval(answer);
    case "recovery":
      return recovery(answer);
  }
}

function chosen(choices: readonly PlainChoice[], answer: unknown): unknown {
  const found =
    choices.find(({ value }) => isDeepStrictEqual(value, answer)) ?? choices.find(({ label }) => label === answer);
  if (found !== undefined) return found.value;
  return refuse(`one of ${choices.map(({ label }) => JSON.stringify(label)).join(", ")}`, answer);
}

const YES = new Set(["y", "yes", "true", "ok", "approve", "allow"]);
const NO = new Set(["n", "no", "false", "deny", "refuse", "reject"]);

function yesOrNo(answer: unknown): boolean | undefined {
  if (typeof answer === "boolean") return answer;
  if (typeof answer !== "string") return undefined;
  const word = answer.trim().toLowerCase();
  if (YES.has(word)) return true;
  return NO.has(word) ? false : undefined;
}

function approval(answer: unknown): ApprovalAnswer {
  const word = yesOrNo(answer);
  if (word !== undefined) return { approved: word };
  if (isRecordLike(answer)) {
    const { approved, reason, input, ...others } = answer;
    if (
      typeof approved === "boolean" &&
      (reason === undefined || typeof reason === "string") &&
      Object.keys(others).length === 0
    )
      return { approved, ...(reason !== undefined && { reason }), ...(input !== undefined && { input }) };
  }
  return refuse("true, false or { approved, reason?, input? }", answer);
}

function recovery(answer: unknown): RecoveryAnswer {
  const given = isRecordLike(answer) ? answer : { action: typeof answer === "string" ? answer.trim() : answer };
  const action = RECOVERY_ACTIONS.find((one) => one === given["action"]);
  if (action === undefined) return refuse('"retry", "skip", "abort" or { action: "skip", value }', answer);
  return action === "skip" ? { action, value: given["value"] ?? null } : { action };
}

function refuse(expected: string, answer: unknown): never {
  throw new OrchestraError("ORCH_ANSWER_INVALID", `answer: expected ${expected}, got ${shown(answer)}`);
}
