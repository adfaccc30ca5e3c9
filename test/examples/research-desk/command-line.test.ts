import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";

import { parseOptions } from "../../../examples/research-desk/options.ts";
import { startModelServer } from "../../support/model-server.ts";
import { SMALL_QUESTION, makeSmallFolder } from "./small-folder.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = "examples/research-desk/main.ts";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The desk as its own process; the package is taken from its sources, so that no build is needed. */
function runMain(
  args: readonly string[],
  onProgress: (stderr: string, child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const alias = { "orchestra/agents": join(root, "src/agents/index.ts"), orchestra: join(root, "src/index.ts") };
  const env = { ...process.env, JITI_ALIAS: JSON.stringify(alias) };
  const child = spawn(process.execPath, ["--import", "jiti/register", MAIN, ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => onProgress((stderr += text), child));
  return new Promise((resolve, reject) =>
    child.once("error", reject).once("close", (code) => resolve({ code, stdout, stderr })),
  );
}

describe("the desk's command line", () => {
  let docs: string;
  let store: string;
  beforeEach(async () => {
    docs = await makeSmallFolder();
    store = await mkdtemp(join(tmpdir(), "research-desk-store-"));
    return () => Promise.all([docs, store].map((folder) => rm(folder, { recursive: true })));
  });

  it("prints the report, where the time went and where the session is kept", async () => {
    const { code, stdout, stderr } = await runMain([
      "--docs",
      docs,
      "--question",
      SMALL_QUESTION,
      "--store",
      store,
      "--session",
      "first",
    ]);
    expect(stderr).toMatch(/✓ Collector +\d+ ms/);
    expect(stdout).toContain("| ledgerly 2.1.0 | An embedded database for ledgers [1] | MIT [2][3] |");
    expect(stdout).toMatch(/Where the time went\n\nagent +steps +ms\n/);
    expect(stdout).toContain(`Session first, `);
    expect(stdout).toContain("durability disk");
    expect(code).toBe(0);

    const again = await runMain(["--resume", "first", "--store", store, "--json"]);
    expect(JSON.parse(again.stdout)).toMatchObject({
      sessionId: "first",
      status: "completed",
      report: { subjects: expect.arrayContaining([{ name: "ledgerly", licence: "MIT" }]) },
    });
    expect(again.code).toBe(0);
  });

  it("has a model answer above the report, leaves out what rests on no source, and shows tokens and cost", async () => {
    const reply = "Ledgerly recovers what was flushed [1]. It was written on the moon. Pipes carry bytes [2][99].";
    await using server = await startModelServer([{ text: reply, usage: { input: 2_000, output: 50 } }]);
    const task = ["--docs", docs, "--question", SMALL_QUESTION, "--store", store, "--session", "told"];
    const model = ["--model", "small", "--base-url", server.url, "--price", "0.5/2"];
    const { code, stdout } = await runMain([...task, ...model]);
    expect(stdout).toContain(
      "## In short\n\nLedgerly recovers what was flushed [1].\n\n(2 sentences of the model named no source",
    );
    expect(stdout).not.toContain("moon");
    expect(stdout).toContain("Model small: 1 call, 2000 tokens in, 50 out, $0.001100");
    expect(code).toBe(0);
    expect(server.requests[0]?.body.messages.at(-1)?.content).toContain("After a crash every entry that was flushed");
    // What was paid for is in the store: nobody is asked again.
    const again = await runMain(["--resume", "told", "--store", store, "--json", ...model]);
    expect(JSON.parse(again.stdout)).toMatchObject({
      usage: { inputTokens: 2_000, outputTokens: 50, costUsd: 0.0011 },
    });
    expect(server.requests).toHaveLength(1);
  });

  it("survives SIGKILL: goes on where the log ends, and runs no finished step again", async () => {
    const { code, stdout, stderr } = await runMain([
      "--crash",
      "--docs",
      docs,
      "--question",
      SMALL_QUESTION,
      "--store",
      store,
    ]);
    expect(stderr).toMatch(/process \d+ killed with SIGKILL after \d+ finished steps/);
    expect(stderr).toContain("· Collector          is in the log");
    expect(stdout).toContain("| ledgerly 2.1.0 |");
    expect(stdout).toMatch(/finished before the kill +[6-9], none of them run again/);
    expect(stdout).not.toContain("BROKEN");
    expect(code).toBe(0);
  });

  it("leaves an older interrupted session alone, says so, and goes on with it when told to", async () => {
    const asked = ["--docs", docs, "--question", SMALL_QUESTION, "--store", store];
    let killed = false;
    await runMain([...asked, "--session", "older", "--pace", "250"], (stderr, child) => {
      if (!killed && stderr.includes("✓ Indexer")) killed = child.kill("SIGKILL");
    });

    const demo = await runMain(["--crash", ...asked]);
    expect(demo.stderr).toContain("interrupted earlier and left alone: older; go on with --resume ID");
    expect(demo.stdout).not.toContain("BROKEN");
    expect(demo.code).toBe(0);

    const resumed = await runMain(["--resume", "older", "--store", store]);
    expect(resumed.stderr).not.toContain("left alone");
    expect(resumed.stderr).toContain("· Indexer            is in the log");
    expect(resumed.stderr).toMatch(/✓ Writer /);
    expect(resumed.code).toBe(0);
  });

  it("keeps what is done when interrupted, and goes on when told to", async () => {
    let told = false;
    const stopped = await runMain(
      ["--docs", docs, "--question", SMALL_QUESTION, "--store", store, "--session", "second", "--pace", "250"],
      (stderr, child) => {
        if (!told && stderr.includes("✓ Indexer")) told = child.kill("SIGINT");
      },
    );
    expect(stopped.stderr).toContain("interrupted; finished steps are kept, go on with --resume second");
    expect(stopped.code).toBe(130);

    const resumed = await runMain(["--resume", "second", "--store", store]);
    expect(resumed.stderr).toContain("· Indexer            is in the log");
    expect(resumed.stdout).toContain("| ledgerly 2.1.0 |");
    expect(resumed.code).toBe(0);
  });

  it("ends with 2 and a hint on a wrong option", async () => {
    const { code, stderr } = await runMain(["--pace", "slow"]);
    expect(stderr).toContain('--pace: expected whole milliseconds, got "slow"');
    expect(code).toBe(2);
  });
});

describe("the desk's options", () => {
  it("asks about the installed dependencies unless told otherwise", () => {
    const options = parseOptions([], root);
    expect(options).toMatchObject({ label: "node_modules", crash: false, paceMs: 0, json: false });
    expect(options.question).toMatch(/crashes\?$/);
    expect(options.store).toBe(join(root, ".orchestra/research-desk"));
  });

  it.each([
    [["--docs", "/no/such/folder", "--question", "x"], /there is no folder \/no\/such\/folder/],
    [["--docs", root], /expected a --question/],
    [["--question", " "], /expected some words/],
    [["--crash", "--resume", "s"], /does not go with --resume/],
    [["--colour"], /--colour/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args, root)).toThrow(message);
  });
});
