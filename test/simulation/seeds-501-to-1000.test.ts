import { describe } from "vitest";
import { simulateSeeds } from "./seeds.ts";

describe("whole systems of sessions, under everything that can go wrong", () => {
  simulateSeeds(501, 1_000);
});
