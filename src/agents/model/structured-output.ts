// Structured output: an answer that has to fit a schema. The model is told the schema, by its provider's own means where
// it has any and in words where it may not, and the answer is checked by the schema itself.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { OrchestraError } from "../../base/errors.ts";
import { readBySchema } from "../standard-schema.ts";
import type { AiSdk, LanguageModel } from "./language-model.ts";

export type ReadAnswer =
  | { readonly type: "value"; readonly value: unknown }
  /** What is wrong, as the model is told. */
  | { readonly type: "misfit"; readonly reason: string };

/** What the answer must be, as JSON Schema; undefined where the schema cannot say. */
export async function jsonSchemaOf(ai: AiSdk, schema: StandardSchemaV1): Promise<object | undefined> {
  try {
    return (await ai.asSchema(schema as Parameters<AiSdk["asSchema"]>[0]).jsonSchema) as object;
  } catch {
    // Not every library can; the answer is checked all the same.
    return undefined;
  }
}

/** Whether the provider holds the model to a schema by itself. Most do not say, and are told in words too. */
export function holdsToSchema(model: LanguageModel): boolean {
  return Reflect.get(model, "supportsStructuredOutputs") === true;
}

/** `inContract`: it stands inside an action of the JSON contract. */
export function answerInWords(schema: object | undefined, inContract: boolean): string {
  const shape = schema === undefined ? "" : ` It must fit this JSON Schema:\n${JSON.stringify(schema)}`;
  return inContract
    ? `Your final answer, wherever you give it, is one JSON value.${shape}`
    : `Answer with one JSON value and nothing else.${shape}`;
}

/** The JSON in `text`: all of it, the first fenced block, or what stands between the outermost brackets. */
export function jsonIn(text: string): { readonly value: unknown } | undefined {
  const fenced = /```(?:json)?\s*\n([\s\S]*?)```/.exec(text)?.[1];
  const bracketed = /[[{][\s\S]*[\]}]/.exec(text)?.[0];
  for (const candidate of [text, fenced, bracketed]) {
    if (candidate === undefined) continue;
    try {
      return { value: JSON.parse(candidate) as unknown };
    } catch {
      continue;
    }
  }
  return undefined;
}

export async function readAnswer(schema: StandardSchemaV1, text: string): Promise<ReadAnswer> {
  const found = jsonIn(text);
  return found === undefined ? { type: "misfit", reason: "it is not JSON" } : checkAnswer(schema, found.value);
}

export async function checkAnswer(schema: StandardSchemaV1, value: unknown): Promise<ReadAnswer> {
  const read = await readBySchema(schema, value);
  return read.type === "value" ? read : { type: "misfit", reason: `it does not fit the schema: ${read.shown}` };
}

const QUOTED_LENGTH_MAX = 2_000;

/** An answer that was wrong to the last; it is quoted. */
export function misfitError(agent: string, reason: string, text: string, asked: number): OrchestraError {
  const quoted = text.length > QUOTED_LENGTH_MAX ? `${text.slice(0, QUOTED_LENGTH_MAX)}…` : text;
  return new OrchestraError(
    "ORCH_INVALID_OUTPUT",
    `the model of agent "${agent}" was asked ${asked} ${asked === 1 ? "time" : "times"} and its answer is refused, because ${reason}: ${JSON.stringify(quoted)}`,
    { details: { agent, reason, reply: quoted } },
  );
}
