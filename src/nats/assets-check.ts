// What is different from what it has to be.

import type { StreamConfig } from "@nats-io/jetstream";
import type { Asset, AssetConfig } from "./assets.ts";

export interface AssetProblem {
  readonly asset: string;
  /** Undefined: the asset is missing. */
  readonly setting?: string;
  readonly expected?: unknown;
  readonly found?: unknown;
  readonly message: string;
}

/** Of these the stored one may be larger; 0 and -1 stand for no limit. */
const LIMITS: ReadonlySet<string> = new Set<keyof AssetConfig>(["max_age", "max_msg_size", "max_msgs"]);
/** Not verified: any value is safe. */
const FREE: ReadonlySet<string> = new Set<keyof AssetConfig>(["duplicate_window"]);

/** Pure: what keeps the stored asset from being safe. `stored` undefined: it is missing. */
export function findProblems(asset: Asset, stored: Partial<StreamConfig> | undefined): readonly AssetProblem[] {
  if (stored === undefined) return [{ asset: asset.name, message: `${asset.name} is missing (${asset.job})` }];
  const problems: AssetProblem[] = [];
  const add = (setting: string, expected: unknown, found: unknown): void => {
    const atLeast = LIMITS.has(setting) ? "at least " : "";
    const message = `${asset.name}: ${setting} is ${show(setting, found)}, expected ${atLeast}${show(setting, expected)}`;
    problems.push({ asset: asset.name, setting, expected, found, message });
  };
  for (const [setting, expected] of Object.entries(asset.config)) {
    if (FREE.has(setting) || (setting === "max_age" && asset.isLease)) continue;
    const found: unknown = stored[setting as keyof AssetConfig];
    if (!isSafe(setting, expected, found)) add(setting, expected, found);
  }
  if (stored.sealed === true) add("sealed", false, true);
  if (stored.no_ack === true) add("no_ack", false, true);
  if (stored.mirror !== undefined) add("mirror", undefined, stored.mirror.name);
  return problems;
}

function isSafe(setting: string, expected: unknown, found: unknown): boolean {
  if (Array.isArray(expected))
    return Array.isArray(found) && found.length === expected.length && expected.every((one) => found.includes(one));
  if (typeof expected === "boolean") return (found ?? false) === expected;
  if (LIMITS.has(setting)) return atLeast(Number(found ?? 0), Number(expected));
  return found === expected;
}

function atLeast(found: number, expected: number): boolean {
  if (found <= 0) return true;
  return expected > 0 && found >= expected;
}

function show(setting: string, value: unknown): string {
  if (setting === "max_age" && typeof value === "number") return value === 0 ? "unlimited" : `${value / 1e9} s`;
  // The server leaves out what is false.
  if (value === undefined) return "unset";
  return JSON.stringify(value);
}
