import { expect, it } from "vitest";
import { copyOfBranch, copyOfRun, copyOfSession } from "../../src/actors/copies.ts";
import { play } from "./play.ts";

it("copies hold every field, those that are there at times included", () => {
  const { state } = play({ nodes: ["A", "B"], edges: ["A -> B"] }, { A: () => 1 });
  const run = { ...state.run!, conditions: ["isGood"] };
  const branch = run.branches.get(1)!;
  expect(copyOfSession(state)).toStrictEqual(state);
  expect(copyOfRun(state.run!)).toStrictEqual(state.run);
  expect(copyOfRun(run)).toStrictEqual(run);
  expect(copyOfBranch(branch)).toStrictEqual(branch);
  expect(copyOfRun(run)).not.toBe(run);
});
