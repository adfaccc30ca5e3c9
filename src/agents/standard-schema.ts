// Standard Schema: values checked by the schema libraries of users (zod, valibot, arktype…), whose interface this is.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { OrchestraError, type OrchestraErrorCode } from "../base/errors.ts";
import { check, isRecordLike } from "../runtime/option-schema.ts";

export type SchemaReading =
  | { readonly type: "value"; readonly value: unknown }
  | {
      readonly type: "misfit";
      readonly problems: readonly { readonly path: string; readonly message: string }[];
      /** The problems in one line. */
      readonly shown: string;
    };

/** Those of some libraries are functions. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  if (!isRecordLike(value)) return false;
  const standard = value["~standard"];
  return isRecordLike(standard) && typeof standard["validate"] === "function";
}

/** The option that takes one. */
export const standardSchema = check(isStandardSchema, "a Standard Schema, such as a zod schema");

/** What the schema makes of `value`. */
export async function readBySchema(schema: StandardSchemaV1, value: unknown): Promise<SchemaReading> {
  const checked = await schema["~standard"].validate(value);
  if (checked.issues === undefined) return { type: "value", value: checked.value };
  const problems = checked.issues.map(({ message, path = [] }) => ({
    path: path.map((part) => String(typeof part === "object" ? part.key : part)).join("."),
    message,
  }));
  const shown = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
  return { type: "misfit", problems, shown };
}

/** The same for a value that has to fit. @throws {OrchestraError} `code`, naming `what`, with the problems in `details` */
export async function parseBySchema(
  schema: StandardSchemaV1,
  value: unknown,
  { code, what }: { readonly code: OrchestraErrorCode; readonly what: string },
): Promise<unknown> {
  const read = await readBySchema(schema, value);
  if (read.type === "value") return read.value;
  const { problems, shown } = read;
  throw new OrchestraError(code, `${what} does not fit its schema: ${shown}`, { details: { problems } });
}
