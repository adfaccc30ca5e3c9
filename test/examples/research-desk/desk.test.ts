import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";

import { Orchestra, Topology, type OrchestraResult } from "orchestra";

import { forged } from "../../../examples/research-desk/agents/reviewer.ts";
import type { Report } from "../../../examples/research-desk/desk.ts";
import { checkCitation } from "../../../examples/research-desk/documents/citations.ts";
import { linesOf } from "../../../examples/research-desk/documents/collect.ts";
import { createTeam } from "../../../examples/research-desk/team.ts";
import { REVISIONS_MAX, WIDENINGS_MAX, researchDesk } from "../../../examples/research-desk/topology.ts";
import { SMALL_QUESTION, makeSmallFolder } from "./small-folder.ts";

describe("research desk", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeSmallFolder();
    return () => rm(folder, { recursive: true });
  });

  const ask = (question: string, docs = folder): Promise<OrchestraResult> =>
    Orchestra.run({ task: { docs, label: "docs", question }, topology: researchDesk, agents: createTeam() });
  const reportOf = async (question: string): Promise<Report> => (await ask(question)).orThrow().finalResponse as Report;

  it("says which packages keep or move data, under which licence, and what they promise", async () => {
    const { subjects, markdown } = await reportOf(SMALL_QUESTION);
    expect([...subjects].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: "ledgerly", licence: "MIT" },
      { name: "pipeworks", licence: "ISC" },
    ]);
    expect(markdown).toContain("After a crash every entry that was flushed is recovered.");
    expect(markdown).toContain("docs/ledgerly/README.md:7");
    expect(markdown).toContain("Nothing found in the documents of pipeworks.");
    expect(markdown).not.toContain("resets colours");
  });

  it("cites only what really stands in the files", async () => {
    const { sources } = await reportOf(SMALL_QUESTION);
    expect(sources.length).toBeGreaterThan(4);
    for (const source of sources) {
      expect(checkCitation(source, linesOf(await readFile(join(folder, source.path), "utf8")))).toEqual({ ok: true });
    }
  });

  it("answers another question, without subjects or licences", async () => {
    const { markdown, subjects } = await reportOf("How are colours printed?");
    expect(subjects).toEqual([]);
    expect(markdown).toContain("“Print words in colour.”");
    expect(markdown).not.toContain("## Overview");
  });

  it("widens the search at most twice, then says that nothing was found", async () => {
    const result = (await ask("How are submarines painted?")).orThrow();
    expect(result.getAgentInvocationCount("Widener")).toBe(WIDENINGS_MAX);
    expect(result.getAgentInvocationCount("Reviewer")).toBeLessThanOrEqual(REVISIONS_MAX + 1);
    expect((result.finalResponse as Report).markdown).toContain("the documents give no answer to this part");
  });

  it("gives the same report each time", async () => {
    expect((await reportOf(SMALL_QUESTION)).markdown).toBe((await reportOf(SMALL_QUESTION)).markdown);
  });

  it("fails with a reason when there is nothing to read", async () => {
    const result = await ask("What?", join(folder, "tinted/nowhere"));
    expect(result.status).toBe("failed");
    expect(result.error?.message).toContain("nowhere");
  });

  it("has a topology without findings that would keep a run from ending", () => {
    expect(
      Topology.from(researchDesk)
        .validate()
        .filter(({ severity }) => severity === "error"),
    ).toEqual([]);
  });
});

describe("reviewer", () => {
  it("notes the claim whose quote is forged, and no other", () => {
    const claim = (quote: string) => ({
      facetId: "f1",
      subject: "a",
      citations: [{ path: "a.md", start: 1, end: 1, quote }],
    });
    const notes = forged([claim("kept on disk"), claim("kept for ever")], () => ["Values are kept on disk."]);
    expect(notes).toEqual([{ kind: "forged", claim: 1, reason: expect.stringContaining("a.md:1-1") }]);
  });
});
