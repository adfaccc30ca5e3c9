// Every small example, run as it stands.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { afterEach, describe, expect, it, vi } from "vitest";

const EXAMPLES = new URL("../../examples/", import.meta.url);
/** Has tests of its own. */
const ELSEWHERE = new Set(["cluster", "fix-until-green", "research-desk"]);

const PRINTED: Readonly<Record<string, readonly string[]>> = {
  "one-line": ["Did you know? sea otters hold hands while they sleep; sea otters use tools."],
  pipeline: ["WordCounter: 4, VowelCounter: 5"],
  "hub-and-spoke": [
    "visit 1: Weather says sun on Monday; Trains says no strike on Monday",
    "visit 2: Weather says sun on Tuesday; Trains says no strike on Tuesday",
  ],
  "human-approval": [
    'awaiting_user - Send this? "Dear Ms Lovelace, your refund is on its way."',
    "sent: Dear Ms Lovelace, your refund is on its way.",
  ],
  "conditional-routing": [
    'Urgent takes {"urgent":true,"amount":500}',
    'Billing takes {"urgent":false,"amount":500}',
    'Everything takes {"urgent":false,"amount":5}',
  ],
  "dynamic-specialists": ['["Accountant: the builder","Engineer: bridges take time"]', "lawyer asked: false"],
  "model-specialists": [
    "It holds, and costs 12 a day.",
    "lawyer asked: false",
    "the model was told: true",
    "and corrected: true",
  ],
  "error-recovery": ['invoice 12 set aside: cannot parse "not a number"', "attempts to fetch: 3"],
  "bounded-loop": ["otters, better, better, better", "bounds hit: 1"],
  "checkpoint-and-fork": [
    "paused - which spice?",
    "kitchen: soup with pepper",
    "other-kitchen: soup with saffron",
    "same history: false",
  ],
  "simulate-your-team": ["paid more than once: true", "a crash is enough: true", "paid more than once: false"],
  "nested-teams": ["sent: close the door, please", "steps, those of the inner team included: 5"],
  streaming: ["Speaker: one", "Speaker: two", "Speaker: three", "Speaker is done", "Counter is done", "words: 3"],
  pools: [
    '["a.example seen","b.example seen","c.example seen"]',
    "most at one time: 2",
    "browser closed",
    "browser closed",
  ],
};

const names = readdirSync(EXAMPLES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !ELSEWHERE.has(entry.name))
  .map(({ name }) => name);

afterEach(() => vi.restoreAllMocks());

describe("the examples", () => {
  it.each(names)("%s runs and prints what its page promises", async (name) => {
    const lines: string[] = [];
    vi.spyOn(console, "log").mockImplementation(
      (...parts: unknown[]) =>
        void lines.push(parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ")),
    );
    await import(new URL(`${name}/main.ts`, EXAMPLES).href);
    expect(lines).toEqual(PRINTED[name]);
  });

  it.each(names)("%s has a page that says how to run it", (name) => {
    const page = fileURLToPath(new URL(`${name}/README.md`, EXAMPLES));
    expect(existsSync(page) && readFileSync(page, "utf8")).toContain(`examples/${name}/main.ts`);
  });
});
