import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import { commandAgent, type CommandAgentOptions, type CommandResult } from "orchestra/agents";
import { next, Orchestra, OrchestraInstance, type Logger, type RunEvent, type RunOptions } from "orchestra";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "orchestra-command-"));
  folders.push(folder);
  return folder;
}

const node = (script: string): Pick<CommandAgentOptions, "command" | "args"> => ({
  command: process.execPath,
  args: ["-e", script],
});
const run = (
  options: Omit<CommandAgentOptions, "name">,
  task: RunOptions["task"] = "task",
  more: Partial<RunOptions> = {},
) =>
  Orchestra.run({
    task,
    topology: { nodes: ["Command"], edges: [] },
    agents: { Command: commandAgent({ name: "Command", ...options }) },
    ...more,
  });
const resultOf = async (...given: Parameters<typeof run>): Promise<CommandResult> =>
  (await run(...given)).orThrow().finalResponse as CommandResult;

describe("commandAgent", () => {
  it("gives the program the input and the arguments as they are, and nothing to a shell", async () => {
    const nasty = "$(touch owned); `id` 'x' \"y\" * \\ \n > z";
    const result = await resultOf(
      {
        ...node("process.stdin.pipe(process.stdout); console.error(JSON.stringify(process.argv.slice(1)))"),
        args: (input: string) => [
          "-e",
          "process.stdin.pipe(process.stdout); console.error(JSON.stringify(process.argv.slice(1)))",
          "--",
          input,
        ],
      },
      nasty,
    );
    expect(result).toMatchObject({ exitCode: 0, signal: null, stdout: nasty, truncated: false });
    expect(JSON.parse(result.stderr)).toEqual([nasty]);
  });

  it("writes an object to its standard input as JSON, and reads one from its output", async () => {
    const result = await run(
      {
        ...node(
          "let t='';process.stdin.on('data',d=>t+=d).on('end',()=>console.log(JSON.stringify({twice:JSON.parse(t).n*2})))",
        ),
        value: "json",
      },
      { n: 21 },
    );
    expect(result.orThrow().finalResponse).toEqual({ twice: 42 });
  });

  it("does not mind a program that reads nothing of a large input", async () => {
    expect(await resultOf(node("process.stdin.destroy()"), { large: "x".repeat(1_000_000) })).toMatchObject({
      exitCode: 0,
    });
  });

  it("lets the program see the variables that are named, and no others", async () => {
    process.env["ORCHESTRA_TEST_LEAK"] = "leaked";
    const names = (result: CommandResult): string[] => Object.keys(JSON.parse(result.stdout) as object);
    const script = node("console.log(JSON.stringify(process.env))");
    expect(names(await resultOf(script))).not.toContain("ORCHESTRA_TEST_LEAK");
    expect(names(await resultOf(script))).toContain("PATH");
    expect(names(await resultOf({ ...script, inherit: ["ORCHESTRA_TEST_LEAK"], env: { OWN: "1" } })).sort()).toEqual([
      "ORCHESTRA_COMMAND",
      "ORCHESTRA_TEST_LEAK",
      "OWN",
    ]);
    delete process.env["ORCHESTRA_TEST_LEAK"];
  });

  it("keeps the beginning and the end of what is too long", async () => {
    const result = await resultOf({
      ...node("process.stdout.write('first' + 'x'.repeat(300000) + 'last')"),
      outputBytesMax: 2_000,
    });
    expect(result.truncated).toBe(true);
    expect(result.stdout).toMatch(/^firstx+\n\[… 298009 bytes left out …\]\nx+last$/);
  });

  it("shows what the program writes while it runs", async () => {
    const chunks: unknown[] = [];
    const handle = Orchestra.stream({
      task: "t",
      topology: { nodes: ["Command"], edges: [] },
      agents: { Command: commandAgent({ name: "Command", ...node("console.log('out');console.error('err')") }) },
    });
    for await (const event of handle) if (event.type === "step.chunk") chunks.push(event.chunk);
    expect(chunks).toHaveLength(2);
    expect(chunks).toEqual(
      expect.arrayContaining([
        { stream: "stdout", text: "out\n" },
        { stream: "stderr", text: "err\n" },
      ]),
    );
  });

  it("hides secrets in chunks, log lines, results, errors and JSON, also when one is written in pieces", async () => {
    const secret = 'hunter"2 / é😀 and more';
    const seen: unknown[] = [];
    const keep = (...line: unknown[]): void => void seen.push(...line);
    const logger: Logger = {
      debug: keep,
      info: keep,
      warn: keep,
      error: keep,
      child: (fields) => (keep(fields), logger),
    };
    const observer = { observe: (event: RunEvent) => void seen.push(event) };
    const piecewise = `
      const bytes = Buffer.from(process.env.KEY + " " + process.argv[1]);
      let i = 0;
      const next = () => { if (i < bytes.length) process.stdout.write(bytes.subarray(i, ++i), next); else end(); };
      const end = () => { console.error("refused " + process.env.KEY); process.exitCode = Number(process.argv[2]) };
      next();`;
    const told = { secretEnv: { KEY: secret }, args: ["-e", piecewise, secret] };
    const options = { command: process.execPath, ...told };
    for (const code of ["0", "3"])
      seen.push(
        (await run({ ...options, args: [...told.args, code] }, "t", { logger, metricsCollector: observer })).toJSON(),
      );
    const json =
      "console.log('{\"k\":\"' + [...process.env.KEY].map(c => '\\\\u' + c.charCodeAt().toString(16).padStart(4, '0')).join('') + '\"}')";
    const plain = { ...options, secretEnv: { KEY: "hunter22" }, args: ["-e", json], value: "json" as const };
    const parsed = await run(plain);
    expect(parsed.orThrow().finalResponse).toEqual({ k: "███" });
    const text = JSON.stringify(seen);
    expect(text).toContain("███");
    expect(text).toContain("refused ███");
    for (const form of ["hunter", "😀 and more", encodeURIComponent(secret)]) expect(text).not.toContain(form);
  });

  it("hides a secret that stands where what is told of its arguments ends", async () => {
    for (let before = 470; before < 500; before += 3) {
      const args = ["x".repeat(before), "hunter22-and-more"];
      const { error } = await run({ command: "/nowhere/program", args, secrets: ["hunter22-and-more"] });
      expect(error?.message).toContain("could not be started");
      expect(JSON.stringify(error)).not.toContain("hunter");
    }
  });

  it("repeats nothing that may be a secret when it refuses an option", () => {
    const bad = {
      secrets: ["hunter22", 5],
      secretEnv: { KEY: "hunter22", OTHER: 5 },
      env: { KEY: "hunter22", OTHER: 5 },
    };
    expect(() => commandAgent({ name: "C", command: "true", ...bad } as never)).toThrow(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.not.stringContaining("hunter22") }),
    );
  });

  it("refuses to start without a secret that is named", async () => {
    const result = await run({ ...node(""), secretEnv: ["ORCHESTRA_TEST_NOT_SET"] });
    expect(result.error?.message).toMatch(/secretEnv: not set .*ORCHESTRA_TEST_NOT_SET/);
  });

  it("says where it cannot run, and what cannot be started", async () => {
    const folder = newFolder();
    const inside = join(folder, "inside");
    mkdirSync(inside);
    symlinkSync(tmpdir(), join(inside, "link"));
    writeFileSync(join(folder, "file"), "");
    const messageOf = async (options: Omit<CommandAgentOptions, "name">) => (await run(options)).error;
    const script = node("");
    expect(await messageOf({ ...script, cwd: join(folder, "none") })).toMatchObject({
      code: "ORCH_INVALID_INPUT",
      message: /does not exist/,
    });
    expect(await messageOf({ ...script, cwd: join(folder, "file") })).toMatchObject({ message: /is no folder/ });
    expect(await messageOf({ ...script, cwd: "..", cwdWithin: inside })).toMatchObject({ message: /is outside of/ });
    expect(await messageOf({ ...script, cwd: "link", cwdWithin: inside })).toMatchObject({ message: /is outside of/ });
    expect(await messageOf({ command: "no-such-program-here" })).toMatchObject({
      code: "ORCH_COMMAND_FAILED",
      message: /no-such-program-here could not be started.*ENOENT/,
      data: { reason: "ENOENT" },
    });
    const there = await resultOf({ ...node("console.log(process.cwd())"), cwd: inside });
    expect(there.stdout.trim()).toBe(inside);
  });

  it("fails the step for an exit code that is not ok, and says what the program said", async () => {
    const { error } = await run(node("console.error('no such thing');process.exit(4)"));
    expect(error).toMatchObject({
      code: "ORCH_COMMAND_FAILED",
      message: /exited with 4: no such thing$/,
      data: { exitCode: 4, signal: null, stderr: "no such thing\n" },
    });
    expect((await run(node("process.kill(process.pid,'SIGUSR2')"))).error?.message).toMatch(/was ended by SIGUSR2/);
  });

  it("routes, succeeds and retries by exit code", async () => {
    const folder = newFolder();
    const counting = node(`fs.appendFileSync(${JSON.stringify(join(folder, "runs"))},'x');process.exit(75)`);
    const retried = await run({
      ...counting,
      exitCodes: { 75: "retry" },
      retry: { maxAttempts: 3, initialDelayMs: 1 },
    });
    expect(retried.status).toBe("failed");
    expect(readFileSync(join(folder, "runs"), "utf8")).toBe("xxx");
    expect(await resultOf({ ...node("process.exit(1)"), exitCodes: { 1: "ok" } })).toMatchObject({ exitCode: 1 });
    expect(
      await resultOf({ ...node("process.kill(process.pid,'SIGUSR2')"), exitCodes: { signal: "ok" } }),
    ).toMatchObject({
      exitCode: null,
      signal: "SIGUSR2",
    });
    const routed = await run({
      ...node("process.exit(9)"),
      exitCodes: { other: ({ exitCode }) => next.final(`came out with ${exitCode}`) },
    });
    expect(routed.finalResponse).toBe("came out with 9");
  });

  it("runs the command once, however often the step is retried after it", async () => {
    const folder = newFolder();
    let asked = 0;
    const result = await run({
      ...node(`fs.appendFileSync(${JSON.stringify(join(folder, "runs"))},'x')`),
      exitCodes: {
        0: () => {
          if (++asked < 3) throw Object.assign(new Error("not yet"), { retryable: true });
          return "done";
        },
      },
      retry: { maxAttempts: 3, initialDelayMs: 1 },
    });
    expect(result.orThrow().finalResponse).toBe("done");
    expect(readFileSync(join(folder, "runs"), "utf8")).toBe("x");
  });

  it("refuses output that is no JSON, or was cut, and runs the command again where the policy says so", async () => {
    const folder = newFolder();
    const flaky = node(
      `fs.appendFileSync(${JSON.stringify(join(folder, "runs"))},'x');console.log(fs.readFileSync(${JSON.stringify(join(folder, "runs"))},'utf8')==='xx'?'{"a":1}':'oops')`,
    );
    const result = await run({
      ...flaky,
      value: "json",
      retry: { invalid_output: { maxAttempts: 2, initialDelayMs: 1 } },
    });
    expect(result.orThrow().finalResponse).toEqual({ a: 1 });
    const { error } = await run({
      ...node("console.log('[' + '1,'.repeat(2000) + '1]')"),
      value: "json",
      outputBytesMax: 1_024,
    });
    expect(error).toMatchObject({ code: "ORCH_INVALID_OUTPUT", message: /longer than outputBytesMax/ });
  });

  it("refuses bad options, all at once", () => {
    const options = { name: "C", command: "", args: [1], timeoutMs: 0, exitCodes: { 1: "maybe" }, shell: true };
    expect(() => commandAgent(options as never)).toThrow(
      /command: expected .*args: expected .*timeoutMs: expected .*exitCodes: expected .*shell: unknown option/,
    );
  });

  it("can be paused in mid-command and runs it anew when resumed", async () => {
    const folder = newFolder();
    const runs = join(folder, "runs");
    await using instance = new OrchestraInstance({
      topology: { nodes: ["Command"], edges: [] },
      agents: {
        Command: commandAgent({
          name: "Command",
          ...node(
            `fs.appendFileSync(${JSON.stringify(runs)},'x');console.log('up');if(fs.readFileSync(${JSON.stringify(runs)},'utf8')==='x')setInterval(()=>{},1000)`,
          ),
          value: "text",
        }),
      },
    });
    const handle = instance.stream({ task: "t", sessionId: "paused" });
    for await (const event of handle)
      if (event.type === "step.chunk") await instance.pauseSession("paused", "look", { inFlight: "abort" });
    expect((await handle.result).status).toBe("paused");
    expect((await instance.resumeSession("paused")).finalResponse).toBe("up");
    expect(readFileSync(runs, "utf8")).toBe("xx");
  });
});
