import {
  CommunicationManager,
  Orchestra,
  OrchestraInstance,
  StatusConfig,
  type Channel,
  type Logger,
  type Verbosity,
} from "orchestra";
import { describe, expect, it } from "vitest";

async function lines(verbosity: Verbosity): Promise<string[]> {
  const written: string[] = [];
  let tries = 0;
  await Orchestra.run({
    task: "x",
    topology: { nodes: ["A", "B"], edges: ["A -> B"] },
    agents: {
      A: () => {
        if (++tries === 1) throw Object.assign(new Error("try again"), { retryable: true });
        return 1;
      },
      B: () => Promise.reject(new Error("no luck")),
    },
    executionConfig: {
      retry: { transient: { initialDelayMs: 1, maxDelayMs: 1 } },
      status: StatusConfig.fromVerbosity(verbosity, { output: { write: (text: string) => written.push(text) } }),
    },
  });
  return written;
}

describe("progress lines", () => {
  it("are none when quiet", async () => {
    expect(await lines(0)).toEqual([]);
  });

  it("tell of runs, steps, retries and failures, one line each", async () => {
    const text = await lines(1);
    expect(text.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(true);
    expect(text.join("")).toMatch(/run r_[^]*A …[^]*A ↻ try again[^]*A ✓[^]*B ✗ .*no luck[^]*failed \(failed\)/);
  });

  it("tell of every event with its number when verbose", async () => {
    const text = (await lines(2)).join("");
    expect(text).toMatch(/branch\.started/);
    expect(
      text
        .split("\n")
        .filter(Boolean)
        .every((line) => /^\d+ /.test(line)),
    ).toBe(true);
  });
});

it("says how durable a run is when it starts, in the log and in the result", async () => {
  const logged: [Record<string, unknown>, string][] = [];
  const log = (fields: Record<string, unknown>, message: string): void => void logged.push([fields, message]);
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const result = await Orchestra.run({ task: "x", topology: { nodes: ["A"] }, agents: { A: () => 1 }, logger });
  expect(result.metadata.durability).toBe("memory");
  expect(logged).toContainEqual([
    { sessionId: result.sessionId, runId: result.runId, durability: "memory" },
    expect.stringContaining("durability: memory"),
  ]);
});

it("reports an observer that throws, and finishes the run all the same", async () => {
  const errors: string[] = [];
  const quiet = (): void => undefined;
  const logger: Logger = {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error: (_fields, message) => void errors.push(message),
    child: () => logger,
  };
  let seen = 0;
  const metricsCollector = {
    observe: () => {
      seen++;
      throw new Error("broken observer");
    },
  };
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["A"] },
    agents: { A: () => 1 },
    metricsCollector,
    logger,
  });
  expect(result.success).toBe(true);
  expect([seen, errors]).toEqual([1, [expect.stringContaining("an observer threw")]]);
});

it("one communication manager serves two instances, and says which session it cannot tell apart", async () => {
  const { next } = await import("orchestra");
  const channel: Channel = { name: "silent", ask: () => Promise.reject(new Error("nobody home")) };
  const communicationManager = new CommunicationManager({ channel });
  await expect(communicationManager.submitResponse("q", 1)).rejects.toMatchObject({
    code: "ORCH_QUESTION_UNKNOWN",
    message: expect.stringContaining("OrchestraInstance"),
  });
  const instance = () =>
    new OrchestraInstance({ topology: { nodes: ["A"] }, agents: { A: () => next.ask("?") }, communicationManager });
  await using first = instance();
  await using second = instance();
  await Promise.all([first.execute("x", { sessionId: "one" }), second.execute("x", { sessionId: "two" })]);
  expect((await communicationManager.pending()).map(({ sessionId }) => sessionId).sort()).toEqual(["one", "two"]);
  expect(await communicationManager.pending({ sessionId: "two" })).toHaveLength(1);
  await first.close();
  expect((await communicationManager.pending()).map(({ sessionId }) => sessionId)).toEqual(["two"]);
});

it("tells observers what follows an answer, though the run is over before it is looked at again", async () => {
  // The events of the stretch after the answer were dropped when the run had ended by then.
  const { next } = await import("orchestra");
  const heard: string[] = [];
  const result = await Orchestra.run({
    task: "x",
    topology: { nodes: ["A"] },
    agents: { A: (input: unknown, ctx) => (ctx.question ? input : next.ask("?")) },
    communicationConfig: { channel: { name: "echo", ask: () => Promise.resolve("yes") } },
    metricsCollector: { observe: ({ type }) => void heard.push(type) },
  });
  expect(result.finalResponse).toBe("yes");
  expect(heard.filter((type) => /user|run/.test(type))).toEqual([
    "run.started",
    "user.asked",
    "run.awaiting_user",
    "run.resumed",
    "user.answered",
    "run.completed",
  ]);
});

it("goes on when a question that its channel keeps is answered from elsewhere", async () => {
  // Nobody told the desk, because the events of a run that waits are not followed.
  const { next } = await import("orchestra");
  let asked: () => void = () => undefined;
  const asking = new Promise<void>((resolve) => (asked = resolve));
  const channel: Channel = { name: "deaf", ask: () => (asked(), new Promise(() => undefined)) };
  await using instance = new OrchestraInstance({
    topology: { nodes: ["A"] },
    agents: { A: (input: unknown, ctx) => (ctx.question ? input : next.ask("?")) },
    communicationConfig: { channel },
  });
  const running = instance.execute("x", { sessionId: "s" });
  await asking;
  await expect.poll(async () => (await instance.getSession("s"))?.status).toBe("awaiting_user");
  const [question] = await instance.communication.pending({ sessionId: "s" });
  await instance.communication.submitResponse(question?.questionId ?? "", "from elsewhere");
  expect((await running).finalResponse).toBe("from elsewhere");
});
