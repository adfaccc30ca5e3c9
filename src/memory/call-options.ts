// What may be said with each call, checked: a word that is misspelt is refused, and does not stand for nothing.

import { callable, check, object, record, required, type ObjectSchema } from "../runtime/option-schema.ts";
import { isScope, SCOPE_EXPECTED } from "./scopes.ts";

const signal = check((value) => value instanceof AbortSignal, "an AbortSignal");
const isName = (value: unknown): boolean => typeof value === "string" && value !== "";
const scope = check(isScope, SCOPE_EXPECTED);

export const addOptions: ObjectSchema = object({
  scope: required(isScope, SCOPE_EXPECTED),
  provenance: record,
  signal,
});
export const seedOptions: ObjectSchema = object({ provenance: record, signal });
export const harvestOptions: ObjectSchema = object({ provenance: record, scope });
export const deleteScopeOptions: ObjectSchema = object({ namespace: check(isName, "a namespace") });
export const listOptions: ObjectSchema = object({
  namespace: check((value) => isName(value) || (Array.isArray(value) && value.every(isName)), "a namespace or several"),
});
export const reembedOptions: ObjectSchema = object({ onProgress: callable, signal });
