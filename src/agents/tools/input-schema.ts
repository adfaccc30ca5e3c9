// Input schema: what a tool takes, told to models as JSON Schema and checked by whoever wrote it.

import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";

import { OrchestraError } from "../../base/errors.ts";
import { loadedOnFirstUse } from "../../base/on-first-use.ts";
import { madeBy } from "../agent-options.ts";
import { isStandardSchema, parseBySchema } from "../standard-schema.ts";
import type { JsonSchema } from "./tool.ts";

const zod = loadedOnFirstUse<typeof import("zod")>("zod");

export interface InputSchema {
  readonly json: JsonSchema;
  /** @throws {OrchestraError} `ORCH_INVALID_INPUT` */
  parse(input: unknown): Promise<unknown>;
}

/** A tool without a schema takes any object. */
const ANY_OBJECT: JsonSchema = Object.freeze({ type: "object" });

/**
 * `given` is a Standard Schema (zod, valibot, arktype…) or a JSON Schema of an object. `json` overrules what a Standard
 * Schema says of itself, and is needed where it says nothing.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` where no JSON Schema is to be had, or one cannot be checked.
 */
export function inputSchema(tool: string, given: unknown, json?: JsonSchema): InputSchema {
  if (isStandardSchema(given)) {
    const shape = ofObject(tool, json ?? described(tool, given));
    return { json: shape, parse: (input) => parseBySchema(given, input, inputOf(tool)) };
  }
  const shape = ofObject(tool, json ?? given ?? ANY_OBJECT);
  const schema = checkerOf(tool, shape);
  return { json: shape, parse: (input) => parseBySchema(schema, input, inputOf(tool)) };
}

/** For a schema of somebody else: undefined where it says what is not understood here, so that only they check it. */
export function foreignInputSchema(tool: string, json: JsonSchema): InputSchema {
  try {
    return inputSchema(tool, json);
  } catch {
    return { json, parse: async (input) => input };
  }
}

function described(tool: string, schema: StandardSchemaV1): unknown {
  const standard = schema["~standard"] as StandardSchemaV1.Props & Partial<StandardJSONSchemaV1.Props>;
  if (standard.jsonSchema === undefined)
    throw refused(
      tool,
      `a schema of ${standard.vendor} that can be told as JSON Schema, or the option inputJsonSchema`,
    );
  try {
    return standard.jsonSchema.input({ target: "draft-2020-12" });
  } catch (error) {
    throw refused(tool, "a schema that can be told as JSON Schema, or the option inputJsonSchema", error);
  }
}

function checkerOf(tool: string, json: JsonSchema): StandardSchemaV1 {
  try {
    return zod().fromJSONSchema(json);
  } catch (error) {
    throw refused(tool, `a JSON Schema that can be checked (${String(error)}); give a Standard Schema`, error);
  }
}

function ofObject(tool: string, json: unknown): JsonSchema {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    const { type } = json as { type?: unknown };
    if (type === "object") return json as JsonSchema;
  }
  throw refused(tool, 'a Standard Schema, or a JSON Schema with type: "object"');
}

function inputOf(tool: string): Parameters<typeof parseBySchema>[2] {
  return { code: "ORCH_INVALID_INPUT", what: `input of tool "${tool}"` };
}

function refused(tool: string, expected: string, cause?: unknown): OrchestraError {
  return new OrchestraError("ORCH_BAD_OPTION", `${madeBy("defineTool", { name: tool })}.input: expected ${expected}`, {
    cause,
  });
}
