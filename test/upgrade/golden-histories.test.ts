// Every history of every released version, replayed by this one.

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { readHistories, record, replay, writeHistories } from "./golden.ts";
import { HISTORIES, type History } from "./histories.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/histories/", import.meta.url));
const versions = await readdir(FIXTURES);

function historyOf(name: string): History {
  const found = HISTORIES.find((history) => history.name === name);
  if (found === undefined) throw new Error(`${name} is in a released version's folder, so it stays in histories.ts`);
  return found;
}

describe.each(versions)("a history of version %s", async (version) => {
  const kept = await readHistories(join(FIXTURES, version));

  it.each(kept)("comes to the same: $name", async ({ name, log, expected }) => {
    expect(await replay(historyOf(name), log)).toBe(expected);
  });
});

describe("the histories of this version", () => {
  it("are kept, all of them", async () => {
    const { version } = JSON.parse(await readFile(join(FIXTURES, "../../../package.json"), "utf8")) as {
      version: string;
    };
    const kept = await readHistories(join(FIXTURES, version));
    expect(kept.map(({ name }) => name)).toEqual(HISTORIES.map(({ name }) => name).toSorted());
  });

  // What is compared must be what happened: a log that lost a commit, or a fact, comes to something else.
  it("are told apart when a run was another", async () => {
    const [one, other] = [historyOf("pipeline"), historyOf("question")];
    const log = await record(one);
    expect(await replay(one, log)).toBe(await replay(one, await record(one)));
    expect(await replay(one, log)).not.toBe(
      await replay(one, await record({ ...one, tell: (i) => i.execute("bees", { sessionId: "golden" }) })),
    );
    expect(await replay(other, await record(other))).not.toBe(await replay(one, log));
  });

  it("are written once", async () => {
    const parent = await mkdtemp(join(tmpdir(), "histories-"));
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
    const folder = join(parent, "9.9.9");
    await writeHistories(folder, [historyOf("journal")]);
    const before = await readHistories(folder);
    await expect(writeHistories(folder, [historyOf("journal")])).rejects.toThrow(/written once/);
    expect(await readHistories(folder)).toEqual(before);
    expect(await replay(historyOf("journal"), before[0]!.log)).toBe(before[0]!.expected);
  });
});
