import { describe } from "vitest";
import { simulateSeeds } from "./seeds.ts";

describe("sessions of several hosts on one bus, under everything that can go wrong", () => {
  simulateSeeds(701, 1000, 4);
});
