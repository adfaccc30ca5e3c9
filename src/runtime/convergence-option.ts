// Convergence shorthands: `"all"`, `"any"`, `{ quorum }` and the full policy come down to one form.

import type { ConvergencePolicy } from "../topology/types.ts";

export type ConvergencePolicyOption = "all" | "any" | ConvergencePolicy;

export const DEFAULT_CONVERGENCE_POLICY: Readonly<ConvergencePolicy> = Object.freeze({
  minRatio: 1,
  onInsufficient: "fail",
});

export function resolveConvergencePolicy(option: ConvergencePolicyOption | undefined): ConvergencePolicy {
  if (option === undefined || option === "all") return DEFAULT_CONVERGENCE_POLICY;
  if (option === "any") return { quorum: 1, onInsufficient: "fail" };
  return { ...(option.quorum === undefined ? { minRatio: 1 } : {}), onInsufficient: "fail", ...option };
}

/** Is it `"all"`, `"any"`, or a policy with `minRatio` in 0..1 or `quorum` from 1, and a known `onInsufficient`? */
export function isConvergencePolicyOption(value: unknown): boolean {
  if (value === "all" || value === "any") return true;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { minRatio, quorum, onInsufficient, ...rest } = value as Record<string, unknown>;
  return (
    Object.keys(rest).length === 0 &&
    (minRatio === undefined || (typeof minRatio === "number" && minRatio >= 0 && minRatio <= 1)) &&
    (quorum === undefined || (Number.isInteger(quorum) && Number(quorum) >= 1)) &&
    !(minRatio !== undefined && quorum !== undefined) &&
    (onInsufficient === undefined ||
      onInsufficient === "fail" ||
      onInsufficient === "proceed" ||
      onInsufficient === "user")
  );
}
