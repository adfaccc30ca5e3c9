// Places in the history of a session, and sessions carried between stores.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { ASKING, place } from "./command-line.ts";

const at = place();
const store = ["--store", "./state"];

async function waiting(): Promise<string> {
  at.file("asking.mjs", ASKING);
  await at.call(["run", "asking.mjs", "-t", "x", "-s", "talk", "-q", ...store]);
  return (await at.call(["checkpoint", "talk", "asked", ...store])).out.trim();
}
const resume = (session: string, answer: string): Promise<{ out: string }> =>
  at.call(["resume", session, "--file", "asking.mjs", "--answer", answer, "-q", ...store]);

it("a session is taken back, forked, and compared", async () => {
  const checkpoint = await waiting();
  expect((await at.call(["show", "talk", ...store])).out).toContain(`${checkpoint} asked`);
  expect(await at.call(["fork", checkpoint, "--session", "other", ...store])).toMatchObject({
    code: 0,
    out: "other\n",
  });
  expect((await resume("talk", "yes")).out).toBe("you said yes\n");
  expect((await resume("other", "no")).out).toBe("you said no\n");
  const parted = await at.call(["diff", "talk", "other", ...store]);
  expect(parted).toMatchObject({
    code: 1,
    out: expect.stringMatching(
      /in common, then\n- checkpointed\n\+ owned\nand the steps from there on:\n[^]*- .*you said yes[^]*\+ .*you said no/,
    ),
  });
  expect(await at.call(["diff", "talk", "talk", ...store])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^equal/),
  });

  expect(await at.call(["restore", checkpoint, ...store])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/orchestra resume talk --file FILE --store \S+state goes on from there/),
  });
  expect((await resume("talk", "after all")).out).toBe("you said after all\n");
});

it("a checkpoint that is not there is named, or what was given for one", async () => {
  const checkpoint = await waiting();
  const nearly = checkpoint.slice(0, -1);
  for (const command of ["restore", "fork"]) {
    expect(await at.call([command, nearly, ...store])).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        `ORCH_CHECKPOINT_UNKNOWN: no checkpoint "${nearly}" in this store; did you mean "${checkpoint}"?`,
      ),
    });
    expect((await at.call([command, "talk", ...store])).err).toContain(
      `"talk" is a session; its checkpoints: ${checkpoint}`,
    );
  }
});

it("a session is carried to another store whole, and neither file nor session is written over", async () => {
  await waiting();
  const exported = await at.call(["export", "talk", "--json", ...store]);
  expect(JSON.parse(exported.out)).toMatchObject({ sessionId: "talk", file: join(at.folder, "talk.orchestra") });
  expect(await at.call(["export", "talk", ...store])).toMatchObject({
    code: 2,
    err: expect.stringContaining("--force"),
  });
  expect((await at.call(["export", "talk", "--force", ...store])).code).toBe(0);
  const elsewhere = ["--store", "./elsewhere"];
  expect(await at.call(["import", "talk.orchestra", ...elsewhere])).toMatchObject({ code: 0, out: "talk\n" });
  expect(await at.call(["import", "talk.orchestra", ...elsewhere])).toMatchObject({
    code: 2,
    err: expect.stringContaining("ORCH_SESSION_STATE"),
  });
  expect(
    await at.call(["resume", "talk", "--file", "asking.mjs", "--answer", "moved", "-q", ...elsewhere]),
  ).toMatchObject({ code: 0, out: "you said moved\n" });
});

it("garbage is refused with what is wrong with it", async () => {
  writeFileSync(join(at.folder, "garbage.orchestra"), "not an export at all");
  expect(await at.call(["import", "garbage.orchestra", ...store])).toMatchObject({
    code: 4,
    err: expect.stringMatching(/ORCH_STORE_CORRUPT: export: the file is no session that "orchestra export" .* wrote/),
  });
  expect(await at.call(["import", "nothing.orchestra", ...store])).toMatchObject({
    code: 2,
    err: expect.stringContaining("cannot read"),
  });
  await waiting();
  expect(await at.call(["export", "talk", "garbage.orchestra/inside", ...store])).toMatchObject({
    code: 2,
    err: expect.stringContaining("cannot write"),
  });
  for (const args of [
    ["why", "a/b"],
    ["events", "talk", "--after", "-1"],
    ["answer", "talk", "x", "--question", "q9"],
  ])
    expect(await at.call([...args, ...store])).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(/error: /),
    });
  expect((await at.call(["pause", "talk", "--store", "./missing"])).err).toContain("there is no store in");
  expect(existsSync(join(at.folder, "missing"))).toBe(false);
});
