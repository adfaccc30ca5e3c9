import { describe, expect, it } from "vitest";

import { planFacets, queryOf, widenFacet } from "../../../examples/research-desk/documents/planning.ts";
import { stem } from "../../../examples/research-desk/documents/words.ts";

const everyTerm = () => true;

describe("planner", () => {
  it("takes the question of the desk apart: which, under which licence, and what of crashes", () => {
    const facets = planFacets(
      "Which of them keep or move data, under which licence, and what do they promise about crashes?",
      everyTerm,
    );
    expect(facets.map(({ text, kind, refersBack }) => [text, kind, refersBack])).toEqual([
      ["Which of them keep or move data", "select", true],
      ["under which licence", "licence", true],
      ["what do they promise about crashes", "quote", true],
    ]);
    expect(queryOf(facets[2]!).get(stem("crash"))).toBe(1);
    expect(queryOf(facets[2]!).has(stem("promise"))).toBe(false);
    expect(queryOf(facets[0]!).get(stem("database"))).toBe(0.6);
  });

  it("takes another question apart without looking for licences or subjects", () => {
    const facets = planFacets("How are plugins loaded? What happens when a plugin fails?", everyTerm);
    expect(facets.map(({ text, kind, refersBack }) => [text, kind, refersBack])).toEqual([
      ["How are plugins loaded", "quote", false],
      ["What happens when a plugin fails", "quote", false],
    ]);
    expect([...queryOf(facets[0]!).keys()]).toEqual([stem("plugin"), stem("loaded")]);
  });

  it("takes “they” for nobody in particular where nothing is selected", () => {
    expect(planFacets("What do they say about retries?", everyTerm)[0]?.refersBack).toBe(false);
  });

  it("leaves out synonyms the documents never use", () => {
    const [facet] = planFacets("What about crashes?", (term) => term === stem("fsync"));
    expect(facet?.terms.map(({ term }) => term)).toEqual([stem("crash"), stem("fsync")]);
  });

  it("still has something to search for when the question is all common words", () => {
    expect(planFacets("Tell me more", everyTerm)).toHaveLength(1);
  });

  it("widens by words it does not have yet", () => {
    const [facet] = planFacets("How are plugins loaded?", everyTerm);
    const wider = widenFacet(facet!, [
      { term: "hook", weight: 0.2 },
      { term: stem("plugin"), weight: 0.1 },
    ]);
    expect(wider.terms.at(-1)).toEqual({ term: "hook", weight: 0.2, from: "documents" });
    expect(queryOf(wider).get(stem("plugin"))).toBe(1);
  });
});
