// The command line as a user meets it: a process with arguments, streams, signals and an exit code.

import type { ChildProcess } from "node:child_process";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { ensureBuilt } from "../package/project.ts";
import { place, type Ended } from "./command-line.ts";

beforeAll(ensureBuilt);
const at = place();
const file = at.file;

interface Options {
  readonly input?: string;
  readonly env?: Record<string, string>;
  /** Called once `err` holds the text. */
  readonly when?: { readonly says: string; readonly then: (child: ChildProcess) => void };
}

async function orchestra(args: readonly string[], { input, env, when }: Options = {}): Promise<Ended> {
  const started = at.start(args, { ...(input !== undefined && { input }), ...(env !== undefined && { env }) });
  if (when !== undefined) await started.says(when.says).then(() => when.then(started.child));
  return started.ended;
}

const TEAM = `
  import { next, type AgentContext } from "orchestra";
  export const topology = { nodes: ["Greeter", "Shouter"], edges: ["Greeter -> Shouter"] };
  export const agents = {
    Greeter: (task: string, ctx: AgentContext) => \`hello \${task} \${String(ctx.context["n"] ?? "")}\`.trim(),
    Shouter: (text: string) => text.toUpperCase(),
  };`;
const ASKING = `
  import { defineAgent, next, Topology } from "orchestra";
  export default {
    topology: Topology.from({ nodes: ["Asker"] }),
    agents: { Asker: defineAgent({ name: "Asker", run: (input, ctx) => (ctx.question ? "you said " + input : next.ask("really?")) }) },
  };`;

describe("orchestra run", () => {
  it("prints the result on standard output and its progress on standard error", async () => {
    file("team.ts", TEAM);
    const ended = await orchestra(["run", "team.ts", "--task", "otters", "--context", "n=3"]);
    expect(ended).toMatchObject({ code: 0, out: "HELLO OTTERS 3\n" });
    expect(ended.err).toMatch(/Greeter ✓[^]*Shouter ✓[^]*completed/);
  });

  it("takes a topology as data, agents in code, the task from standard input, and prints JSON", async () => {
    file("team.yaml", "nodes: [Greeter, Shouter]\nedges:\n  - Greeter -> Shouter\n");
    file("agents.mjs", `export const Greeter = (task) => "hi " + task; export const Shouter = (text) => ({ text });`);
    const ended = await orchestra(["run", "team.yaml", "--agents", "agents.mjs", "--task", "-", "--json", "--quiet"], {
      input: "from stdin\n",
    });
    expect(ended).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(ended.out)).toMatchObject({
      status: "completed",
      finalResponse: { text: "hi from stdin" },
      metadata: { durability: "memory" },
    });
  });

  it("fails with code 1 when the run fails, and says why", async () => {
    file("team.js", `export default { topology: { nodes: ["A"] }, agents: { A() { throw new Error("no luck"); } } };`);
    const ended = await orchestra(["run", "team.js", "-t", "x", "-q"]);
    expect(ended).toMatchObject({ code: 1, out: "" });
    expect(ended.err).toContain("no luck");
  });

  it.each([
    [["run"], "missing required argument"],
    [["run", "missing.ts", "-t", "x"], "missing.ts"],
    [["run", "bad.json", "-t", "x"], "bad.json"],
    [["run", "team.txt", "-t", "x"], "expected a file ending in"],
    [["run", "team.ts"], "what is the task?"],
    [["run", "team.ts", "-t", "x", "--max-steps", "0"], "expected a whole number from 1"],
    [["run", "team.ts", "-t", "x", "--context", "n"], "expected key=value"],
    [["run", "unknown.json", "-t", "x"], "ORCH_AGENT_UNKNOWN"],
    [["run", "wrong.json", "-t", "x"], 'no node is called "Nobody"'],
    [["dance"], "unknown command"],
    [["resume", "s"], "which store?"],
    [["sessions"], "which store?"],
    [["sessions", "--store", "./state", "--status", "lost"], "Allowed choices are running"],
    [["show", "nobody", "--store", "./state"], "there is no store in"],
    [["sessions", "--store", "./state"], "there is no store in"],
    [["resume", "s", "--store", "./state", "--file", "team.ts"], "there is no store in"],
    [["run", "unknown.json", "-t", "x"], "--agents FILE"],
    [["graph", "team.ts", "--format", "png"], "expected mermaid or dot"],
  ])("refuses %j with code 2", async (args, message) => {
    file("team.ts", TEAM);
    file("bad.json", "{");
    file("unknown.json", `{ "nodes": ["A"] }`);
    file("wrong.json", `{ "nodes": ["A"], "edges": ["A -> Nobody"] }`);
    file("team.txt", "");
    const ended = await at.call(args);
    expect(ended).toMatchObject({ code: 2, out: "" });
    expect(ended.err).toContain(message);
  });

  it("says which bound ended a loop", async () => {
    file(
      "loop.mjs",
      `export default {
         topology: { entryPoint: "A", edges: ["A -> B", { from: "B", to: "A", condition: "true", maxVisits: 1 }, { from: "B", to: "C", else: true }] },
         agents: { A: (x) => x, B: (x) => x + "b", C: (x) => x } };`,
    );
    expect(await orchestra(["run", "loop.mjs", "-t", "x", "-q"])).toEqual({
      code: 0,
      out: "xbb\n",
      err: "bound reached: B -> A\n",
    });
  });

  it("says where in a file it fails to load: parsing, running, importing, in the file or in one it imports", async () => {
    file("parse.ts", 'export const a = 1;\n\nexport default { nodes: ["A" };\n');
    file("throws.ts", "const x: any = undefined;\n\nexport const topology = { nodes: [x.name] };\n");
    file("missing.ts", '// a line\nimport thing from "not-a-package";\nexport default thing;\n');
    file("through.ts", 'export * from "./throws.ts";\n');
    const told = async (name: string): Promise<string> => (await at.call(["validate", name])).err;
    expect(await told("parse.ts")).toMatch(/^error: parse\.ts:3: ParseError: Unexpected token/);
    expect(await told("throws.ts")).toMatch(/^error: throws\.ts:3: TypeError: Cannot read properties of undefined/);
    expect(await told("missing.ts")).toMatch(/^error: missing\.ts:\d+: Cannot find module 'not-a-package'\n$/);
    expect(await told("through.ts")).toMatch(/^error: throws\.ts:3: TypeError/);
  });

  it("shows with -v where the error of an agent was thrown, without places of its own", async () => {
    file(
      "deep.mjs",
      `export default { topology: { nodes: ["A"] }, agents: { A: () => deep() } };\nfunction deep() { throw new Error("no luck"); }`,
    );
    const { err } = await orchestra(["run", "deep.mjs", "-t", "x", "-v"]);
    expect(err).toMatch(/A ✗ ORCH_AGENT_FAILED: no luck\n +Error: no luck\n +at deep .*deep\.mjs:2:\d+\)\n/);
    expect(err).not.toMatch(/runtime\/execution/);
    expect((await orchestra(["run", "deep.mjs", "-t", "x"])).err).not.toContain("at deep");
  });

  it("shows piped answers after their questions, also when all came at once", async () => {
    file(
      "two.mjs",
      `import { next } from "orchestra";
       const ask = (input, ctx) => (ctx.question ? [...ctx.question.input, input] : next.ask("next to " + input.join("+") + "?"));
       export default { topology: { nodes: ["A", "B"], edges: ["A -> B"] }, agents: { A: (task, ctx) => ask(ctx.question ? task : [task], ctx), B: ask }, task: "x" };`,
    );
    const { code, err } = await orchestra(["run", "two.mjs", "--ask"], { input: "one\ntwo\n" });
    expect(err).toMatch(/A asks[^]*\[A\] next to x\?\n> one\n[^]*\[B\] next to [^]*\?\n> two\n[^]*■ completed\n$/);
    expect(code).toBe(0);
  });

  it("asks on standard input when told to", async () => {
    file("asking.ts", ASKING);
    expect(await orchestra(["run", "asking.ts", "-t", "x", "--ask", "-q"], { input: "yes\n" })).toMatchObject({
      code: 0,
      out: "you said yes\n",
    });
  });
});

describe("sessions on disk", () => {
  it("wait for an answer with code 3, are listed and shown, and are continued by resume", async () => {
    file("asking.ts", ASKING);
    const store = ["--store", "./state"];
    const waiting = await orchestra(["run", "asking.ts", "-t", "x", "-s", "talk", "--no-ask", ...store]);
    expect(waiting).toMatchObject({ code: 3, out: "" });
    expect(waiting.err).toContain("really?");
    expect(waiting.err).toContain("orchestra resume talk --file asking.ts --store ./state --answer TEXT");
    expect(await orchestra(["show", "nobody", ...store])).toMatchObject({
      code: 2,
      err: expect.stringContaining('no session "nobody"'),
    });
    const [listed, shown] = await Promise.all([orchestra(["sessions", ...store, "--json"])]).then(async ([first]) => [
      first,
      await orchestra(["show", "talk"], { env: { ORCHESTRA_STORE: "./state" } }),
    ]);
    expect(JSON.parse(listed?.out ?? "")).toMatchObject([{ sessionId: "talk", status: "awaiting_user" }]);
    expect(shown).toMatchObject({
      code: 0,
      out: expect.stringMatching(/status +awaiting_user[^]*question .*Asker\): really\?/),
    });
    expect(
      await orchestra(["resume", "talk", "--file", "asking.ts", ...store, "--answer", "sure", "-q"]),
    ).toMatchObject({ code: 0, out: "you said sure\n" });
    expect(await orchestra(["show", "talk", ...store, "--steps"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/status +completed[^]*Asker ok[^]*you said sure/),
    });
  });

  it("drain on Ctrl-C with code 130, and go on where they stopped", async () => {
    file(
      "slow.ts",
      `export default { topology: { nodes: ["A", "B"], edges: ["A -> B"] }, agents: {
         A: async (task: string) => { process.stderr.write("A works\\n"); await new Promise((resolve) => setTimeout(resolve, 300)); return task + "a"; },
         B: (text: string) => { process.stderr.write("B works\\n"); return text + "b"; } } };`,
    );
    const stopped = await orchestra(["run", "slow.ts", "-t", "x", "-s", "slow", "--store", "./state"], {
      when: { says: "A works", then: (child) => child.kill("SIGINT") },
    });
    expect(stopped).toMatchObject({ code: 130, out: "" });
    expect(stopped.err).toMatch(/letting steps in flight finish[^]*A ✓/);
    expect(stopped.err).not.toMatch(/B works|B …/);
    const resumed = await orchestra(["resume", "slow", "--file", "slow.ts", "--store", "./state", "-q"]);
    expect(resumed).toMatchObject({ code: 0, out: "xab\n" });
    expect(resumed.err).not.toContain("A works");
  });

  it("are shown as interrupted when their process was killed, and say how to go on instead of taking a new task", async () => {
    file(
      "stuck.mjs",
      `export default { topology: { nodes: ["A"] }, agents: {
         A: async (task) => { if (process.env.STUCK) { process.stderr.write("A works\\n"); await new Promise((resolve) => setTimeout(resolve, 60_000)); } return task + "a"; } } };`,
    );
    const store = ["--store", "./state"];
    await orchestra(["run", "stuck.mjs", "-t", "x", "-s", "k", ...store], {
      env: { STUCK: "1" },
      when: { says: "A works", then: (child) => child.kill("SIGKILL") },
    });
    const shown = await orchestra(["show", "k", ...store]);
    expect(shown.out).toContain("interrupted: its process is gone; orchestra resume k continues it");
    expect(shown.out).not.toMatch(/running|error|resumeSession/);
    const again = await orchestra(["run", "stuck.mjs", "-t", "y", "-s", "k", ...store, "-q"]);
    expect(again).toMatchObject({ code: 2, out: "" });
    expect(again.err).toContain("orchestra resume k --file stuck.mjs --store ./state");
    expect(await orchestra(["resume", "k", "--file", "stuck.mjs", ...store, "-q"])).toMatchObject({
      code: 0,
      out: "xa\n",
    });
    expect(await orchestra(["run", "stuck.mjs", "-t", "y", "-s", "k", ...store, "-q"])).toMatchObject({
      code: 0,
      out: "ya\n",
    });
  });

  it("answers code 4 when another process has the folder", async () => {
    const { LevelStorage } = await import("orchestra");
    const storage = new LevelStorage(join(at.folder, "state"));
    await storage.open();
    const ended = await orchestra(["sessions", "--store", "./state"]);
    await storage.close();
    expect(ended).toMatchObject({ code: 4, err: expect.stringContaining("ORCH_STORE_LOCKED") });
  });
});

describe("looking at a topology", () => {
  it("draws it", async () => {
    file("team.ts", TEAM);
    expect(await orchestra(["graph", "team.ts"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^(flowchart|graph)[^]*Greeter[^]*Shouter/),
    });
    expect(await orchestra(["graph", "team.ts", "--format", "dot"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("digraph"),
    });
  });

  it("draws what there is of a wrong one, says what is wrong, and answers code 2", async () => {
    file("wrong.json", `{ "nodes": ["Greeter"], "edges": ["Greeter -> Greter"] }`);
    expect(await orchestra(["graph", "wrong.json"])).toMatchObject({
      code: 2,
      out: expect.stringContaining("Greeter"),
      err: expect.stringContaining('no node is called "Greter"'),
    });
  });

  it("validates it", async () => {
    file("team.ts", TEAM);
    file("wrong.json", `{ "nodes": ["Greeter"], "edges": ["Greeter -> Greter"] }`);
    expect(await orchestra(["validate", "team.ts"])).toMatchObject({ code: 0, out: "team.ts: ok\n" });
    const wrong = await orchestra(["validate", "wrong.json", "--json"]);
    expect(wrong.code).toBe(2);
    expect(JSON.parse(wrong.out)).toMatchObject({
      ok: false,
      problems: [{ code: "unknown_node", hint: expect.stringContaining("Greeter") }],
    });
  });
});

it("teaches by --help: examples and exit codes", async () => {
  const { code, out } = await orchestra(["--help"]);
  expect(code).toBe(0);
  for (const part of ["Examples:", "orchestra run team.ts", "Exit codes:", "130"]) expect(out).toContain(part);
  expect(await orchestra(["--version"])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  expect((await orchestra(["run", "--help"])).out).toContain("named exports");
});
