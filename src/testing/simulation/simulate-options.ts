// What the options of `simulate` look like.

import { executionConfigSchema, maxStepsSchema } from "../../runtime/execution-config.ts";
import { anything, check, count, flag, isRecord, object, required } from "../../runtime/option-schema.ts";
import { errorConfigSchema } from "../../runtime/run-options.ts";

const fn = check((value) => typeof value === "function", "a function");
const isNames = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "string");

export const simulateSchema = object({
  topology: required((value) => value !== undefined, "a topology"),
  agents: required((value) => value !== undefined, "agents by name, or a function that makes them"),
  // Checked where they are read.
  seeds: anything,
  conditions: anything,
  tasks: check((value) => Array.isArray(value) && value.length > 0, "a list of at least one task"),
  sessions: count,
  hosts: count,
  errorConfig: errorConfigSchema,
  executionConfig: executionConfigSchema,
  maxSteps: maxStepsSchema,
  answer: fn,
  check: fn,
  durability: check((value) => value === "disk" || value === "process", `"disk" or "process"`),
  faults: check((value) => isRecord(value) || isNames(value), "the highest rate by kind of fault, or a list of faults"),
  commands: flag,
  without: check(isNames, "a list of parts"),
  shrink: flag,
  failingSeedsMax: count,
  successShareMin: check(
    (value) => value === false || (typeof value === "number" && value >= 0 && value <= 1),
    "a share from 0 to 1, or false",
  ),
  orThrow: flag,
});
