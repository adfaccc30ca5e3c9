// Sessions steered from outside: on a store that nobody has open, and on one that another process is running in.

import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { ensureBuilt } from "../package/project.ts";
import { ASKING, place, SLOW } from "./command-line.ts";

beforeAll(ensureBuilt);
const at = place();
const store = ["--store", "./state"];
const go = (): void => writeFileSync(join(at.folder, "go"), "");

describe("a session that nobody runs", () => {
  it("is answered, and goes on with that when it is resumed", async () => {
    at.file("asking.mjs", ASKING);
    expect((await at.call(["run", "asking.mjs", "-t", "x", "-s", "talk", "-q", ...store])).code).toBe(3);
    const why = await at.call(["why", "talk", ...store]);
    expect(why).toMatchObject({ code: 0, out: expect.stringMatching(/talk: awaiting_user\n +question .*really\?/) });
    expect(await at.call(["answer", "talk", "sure", ...store])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/orchestra resume talk --file FILE --store \S+state goes on with it/),
    });
    expect((await at.call(["why", "talk", ...store])).out).toBe("talk: paused (answered; to be resumed)\n");
    expect(await at.call(["answer", "talk", "sure", ...store])).toMatchObject({
      code: 2,
      err: expect.stringContaining("ORCH_QUESTION_UNKNOWN"),
    });
    expect(await at.call(["resume", "talk", "--file", "asking.mjs", "-q", ...store])).toMatchObject({
      code: 0,
      out: "you said sure\n",
    });
  });

  it("is asked for an answer by a message that stays short, whatever the prompt", async () => {
    at.file("asking.mjs", ASKING.replace('"really?"', '"really? ".repeat(1000)'));
    const { err } = await at.call(["run", "asking.mjs", "-t", "x", "-s", "talk", "-q", ...store]);
    expect(err).toContain("really? really?");
    expect(err.length).toBeLessThan(1_000);
    const { out } = await at.call(["show", "talk", "--json", ...store]);
    expect(out).toContain("really? ".repeat(1000));
  });

  it("is cancelled, and then there is nothing to pause or to cancel", async () => {
    at.file("asking.mjs", ASKING);
    await at.call(["run", "asking.mjs", "-t", "x", "-s", "talk", "-q", ...store]);
    const cancelled = await at.call(["cancel", "talk", "--reason", "enough", "--json", ...store]);
    expect(JSON.parse(cancelled.out)).toEqual({ sessionId: "talk", cancelled: true, pid: null });
    expect((await at.call(["show", "talk", ...store])).out).toMatch(
      /status +cancelled[^]*error +ORCH_CANCELLED.*enough/,
    );
    for (const command of ["pause", "cancel"])
      expect(await at.call([command, "talk", ...store])).toMatchObject({
        code: 2,
        err: expect.stringContaining(`ORCH_SESSION_STATE: nothing to ${command}: session "talk" is cancelled`),
      });
  });

  it("shows its steps, and at which node an arm was called off", async () => {
    at.file(
      "quorum.mjs",
      `export default {
         topology: {
           nodes: ["F", "Quick", "Slow", { name: "J", convergencePolicy: "any" }],
           edges: ["F -> Quick", "F -> Slow", "Quick -> J", "Slow -> J"],
         },
         agents: { F: (x) => x, Quick: () => "quick", Slow: () => new Promise(() => {}), J: (x) => x },
       };`,
    );
    await at.call(["run", "quorum.mjs", "-t", "x", "-s", "k", "-q", ...store]);
    const { out } = await at.call(["show", "k", "--steps", ...store]);
    expect(out).toMatch(/ Quick ok \d+ ms[^]* J ok \d+ ms\n {2}branch \S+ cancelled at Slow after \d+ ms\n/);
  });

  it("tells its events, all or after one of them, as lines of text or of JSON", async () => {
    at.file("asking.mjs", ASKING);
    await at.call(["run", "asking.mjs", "-t", "x", "-s", "talk", "-q", ...store]);
    expect((await at.call(["events", "talk", ...store])).out).toMatch(/^\d+ {2}▶ run[^]*Asker ✓[^]*Asker asks/);
    const lines = (await at.call(["events", "talk", "--json", ...store])).out.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { seq: number; type: string });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["run.started", "user.asked"]));
    const after = await at.call(["events", "talk", "--json", "--after", String(events[1]?.seq), ...store]);
    expect(after.out.trim().split("\n")).toEqual(lines.slice(2));
  });

  it.each(["show", "why", "pause", "cancel", "events", "checkpoint", "export"])(
    "is named by %s when its name is nearly right",
    async (command) => {
      at.file("asking.mjs", ASKING);
      await at.call(["run", "asking.mjs", "-t", "x", "-s", "otters", "-q", ...store]);
      expect(await at.call([command, "oters", ...store])).toMatchObject({
        code: 2,
        out: "",
        err: 'error: ORCH_SESSION_UNKNOWN: no session "oters" in this store; did you mean "otters"?\n',
      });
    },
  );
});

describe("a session that another process runs", () => {
  it("is looked at, watched and paused there; that process ends, and says how to go on", async () => {
    at.file("slow.mjs", SLOW);
    const run = at.start(["run", "slow.mjs", "-t", "x", "-s", "k", ...store]);
    await run.says("A works");
    const { pid } = run.child;
    expect((await at.call(["why", "k", ...store])).out).toMatch(
      new RegExp(`k: running in process ${pid}\\n +step +A .*: runs`),
    );
    const listed = await at.call(["sessions", "--json", "--status", "running", ...store]);
    expect(JSON.parse(listed.out)).toMatchObject([{ sessionId: "k", status: "running" }]);
    expect(JSON.parse((await at.call(["sessions", "--json", "--status", "interrupted", ...store])).out)).toEqual([]);
    expect((await at.call(["show", "k", ...store])).out).toContain(`running in process ${pid}`);
    const followed = at.start(["events", "k", "--follow", ...store]);
    const checkpoint = await at.call(["checkpoint", "k", "halfway", ...store]);
    expect(checkpoint).toMatchObject({ code: 0, out: expect.stringMatching(/^cp_\w+\n$/) });

    expect(await at.call(["pause", "k", "--reason", "lunch", ...store])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`paused k (store open in process ${pid}); its steps in flight finish`),
    });
    const pausing = new RegExp(
      `k: pausing \\(lunch\\) in process ${pid}: waits for A \\(1\\.0\\.\\d+\\), which finishes\\n`,
    );
    expect((await at.call(["why", "k", ...store])).out).toMatch(pausing);
    expect((await at.call(["why", "k", ...store])).out).toMatch(/step +A .*: finishes\n/);
    expect((await at.call(["show", "k", ...store])).out).toMatch(/status +pausing \(lunch\) in process/);
    expect(await at.call(["events", "k", ...store])).toMatchObject({
      out: expect.stringContaining("‖ paused: lunch"),
      err: expect.stringMatching(/^pausing: waits for A \(/),
    });
    for (const [status, ids] of [
      ["pausing", ["k"]],
      ["paused", []],
    ] as const) {
      const there = await at.call(["sessions", "--json", "--status", status, ...store]);
      expect((JSON.parse(there.out) as { sessionId: string }[]).map(({ sessionId }) => sessionId)).toEqual(ids);
    }
    await followed.says("pausing: waits for A (");
    go();
    const paused = await run.ended;
    expect(paused).toMatchObject({ code: 3, out: "" });
    expect((await at.call(["why", "k", ...store])).out).toMatch(
      /^k: paused \(lunch\)\n +step +A .*: has ended; followed on resume\n$/,
    );
    expect(paused.err).toMatch(/paused: lunch[^]*go on with: orchestra resume k --file slow.mjs --store .\/state/);

    // Who follows goes on with the next process, and ends with the run.
    const resumed = await at.start(["resume", "k", "--file", "slow.mjs", "-q", ...store]).ended;
    expect(resumed).toMatchObject({ code: 0, out: "XA\n" });
    const { code, out } = await followed.ended;
    expect(code).toBe(0);
    // What finished during the pause was recorded, and is followed from when the run goes on.
    expect(out).toMatch(/halfway[^]*‖ paused: lunch[^]*▶ resumed[^]*A ✓[^]*B ✓[^]*■ completed\n$/);
  });

  it("is answered there, and goes on at once", async () => {
    at.file("asking.mjs", ASKING);
    const run = at.start(["run", "asking.mjs", "-t", "x", "-s", "talk", "--ask", ...store], { input: "open" });
    await run.says("really?");
    expect(await at.call(["answer", "talk", "from outside", ...store])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`store open in process ${run.child.pid}`),
    });
    expect(await run.ended).toMatchObject({ code: 0, out: "you said from outside\n" });
  });

  it("is cancelled there", async () => {
    at.file("slow.mjs", SLOW);
    const run = at.start(["run", "slow.mjs", "-t", "x", "-s", "k", "-q", ...store]);
    await run.says("A works");
    expect((await at.call(["cancel", "k", "--reason", "no more", ...store])).code).toBe(0);
    expect(await run.ended).toMatchObject({
      code: 1,
      err: expect.stringContaining("no more"),
    });
  });

  it("is exported there, and taken in elsewhere", async () => {
    at.file("slow.mjs", SLOW);
    const run = at.start(["run", "slow.mjs", "-t", "x", "-s", "k", "-q", ...store]);
    await run.says("A works");
    expect((await at.call(["export", "k", "out/k.orchestra", ...store])).code).toBe(0);
    expect(statSync(join(at.folder, "out/k.orchestra")).mode & 0o777).toBe(0o600);
    expect(await at.call(["import", "out/k.orchestra", "--store", "./other", "--as", "k2"])).toMatchObject({
      code: 0,
      out: "k2\n",
    });
    expect((await at.call(["show", "k2", "--store", "./other"])).out).toContain("interrupted");
    // What would need the store itself is refused, and says by whom it is held and what reaches it.
    for (const [command, ...args] of [
      ["import", "out/k.orchestra", ...store, "--as", "k3"],
      ["resume", "k", "--file", "slow.mjs", ...store],
      ["verify", "./state"],
    ] as const) {
      const { code, err } = await at.call([command, ...args]);
      expect(code).toBe(4);
      expect(err).toContain(`pid ${run.child.pid}`);
      expect(err).toContain(`"orchestra ${command}" needs the store for itself: wait for that process, or stop it`);
      expect(err).toMatch(/meanwhile .* pause, cancel and answer reach what runs there/);
    }
    run.child.kill("SIGKILL");
    await run.ended;
  });

  it("leaves nothing in the way when its process is killed: the next one serves the store again", async () => {
    at.file("slow.mjs", SLOW);
    const address = join(at.folder, "state/orchestra.control");
    const killed = at.start(["run", "slow.mjs", "-t", "x", "-s", "k", "-q", ...store]);
    await killed.says("A works");
    const stale = JSON.parse(readFileSync(address, "utf8")) as { path: string };
    killed.child.kill("SIGKILL");
    await killed.ended;
    expect(existsSync(stale.path)).toBe(true);
    expect((await at.call(["sessions", ...store])).out).toMatch(/^k +interrupted /);
    const shown = JSON.parse((await at.call(["show", "k", "--json", ...store])).out) as {
      session: object;
      result: { error: { message: string } };
    };
    expect(shown.session).toMatchObject({ status: "interrupted" });
    expect(shown.result.error.message).not.toMatch(/resumeSession|userResponse/);

    const again = at.start(["resume", "k", "--file", "slow.mjs", "-q", ...store]);
    await again.says("A works");
    expect(existsSync(stale.path)).toBe(false);
    expect((await at.call(["why", "k", ...store])).out).toContain(`process ${again.child.pid}`);
    go();
    expect(await again.ended).toMatchObject({ code: 0, out: "XA\n" });
    expect(existsSync(address)).toBe(false);
  });
});

it("says who has the store when that process does not serve it", async () => {
  at.file(
    "hold.mjs",
    `export default { topology: { nodes: ["A"] }, agents: { A: (x) => x } };
     const { LevelStorage } = await import("orchestra");
     await new LevelStorage("./state").open();
     console.error("held");
     await new Promise((resolve) => setTimeout(resolve, 60_000));`,
  );
  const holder = at.start(["validate", "hold.mjs"]);
  await holder.says("held");
  for (const args of [["pause", "k"], ["events", "k", "--follow"], ["sessions"]])
    expect(await at.call([...args, ...store])).toMatchObject({
      code: 4,
      out: "",
      err: expect.stringMatching(new RegExp(`ORCH_STORE_LOCKED.*pid ${holder.child.pid}\\)[^]*does not serve`)),
    });
  at.file("agents.mjs", "export const A = (x) => x;");
  const resumed = await at.call(["resume", "k", "--agents", "agents.mjs", ...store]);
  expect(resumed.err).toMatch(/"orchestra resume" needs the store for itself: wait for that process, or stop it\)\n$/);
});
