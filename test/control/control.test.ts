// The control socket as another process meets it: who may speak, what is refused, what is left behind.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { beforeEach, describe, expect, it } from "vitest";

import { LevelStorage, memoryStorage, next, OrchestraError, OrchestraInstance, StateManager } from "orchestra";
import { connectControl, operationsOf, serveControl, type EventView } from "orchestra/control";
import { errorToWire } from "../../src/control/protocol.ts";

let folder: string;
let stateManager: StateManager;
let instance: OrchestraInstance;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-control-"));
  stateManager = new StateManager({ storage: new LevelStorage(folder) });
  instance = new OrchestraInstance({
    topology: { nodes: ["A"] },
    agents: { A: (task: unknown, ctx) => (ctx.question ? { date: new Date(0), task } : next.ask("?")) },
    stateManager,
  });
  return async () => {
    await instance.close();
    rmSync(folder, { recursive: true, force: true });
  };
});

interface Address {
  path: string;
  token: string;
}
const address = (): Address => JSON.parse(readFileSync(join(folder, "orchestra.control"), "utf8")) as Address;

/** Sends the lines as they are; resolves with all that came back once `answers` lines have, or the connection ended. */
function talk(lines: readonly string[], answers = Infinity): Promise<unknown[]> {
  return new Promise((resolve) => {
    const socket = createConnection(address().path);
    let text = "";
    const done = (): void => {
      socket.destroy();
      resolve(
        text
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line) as unknown),
      );
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.split("\n").length > answers) done();
    });
    socket.on("close", done);
    socket.on("error", () => undefined);
    socket.write(lines.map((line) => `${line}\n`).join(""));
  });
}
const hello = (change: object = {}): string => JSON.stringify({ control: 1, token: address().token, ...change });
const refusal = (code: string, message: string): object => ({
  error: { code, message: expect.stringContaining(message) as string },
});

describe("a served store", () => {
  it("is told to its owner alone, and to nobody once it is closed", async () => {
    const control = await serveControl(instance, stateManager);
    const { path } = address();
    expect(statSync(join(folder, "orchestra.control")).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    await control.close();
    await control.close();
    expect([existsSync(path), existsSync(dirname(path)), existsSync(join(folder, "orchestra.control"))]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await connectControl(folder)).toBeNull();
  });

  it("answers as its own process would, errors included", async () => {
    await using _control = await serveControl(instance, stateManager);
    await using client = await connectControl(folder);
    const [there, here] = [client!.operations, operationsOf(instance, stateManager)];
    const waiting = await instance.execute("x", { sessionId: "s" });
    expect(waiting.status).toBe("awaiting_user");
    const [question] = await there.questions({ sessionId: "s" });
    await there.answer({ sessionId: "s", questionId: question?.questionId ?? "", value: "yes" });
    await expect.poll(async () => (await there.session({ sessionId: "s" }))?.status).toBe("completed");
    const checkpointId = await there.checkpoint({ sessionId: "s", name: "end" });
    await there.fork({ checkpointId, sessionId: "t" });
    for (const op of ["session", "result", "why", "checkpoints"] as const)
      expect(await there[op]({ sessionId: "s" })).toEqual(await here[op]({ sessionId: "s" }));
    expect(await there.sessions({})).toEqual(await here.sessions({}));
    expect(await there.diff({ a: "s", b: "t" })).toEqual(await here.diff({ a: "s", b: "t" }));
    const { signal } = new AbortController();
    const eventsOf = async (from: typeof here): Promise<EventView[]> => {
      const events: EventView[] = [];
      for await (const event of from.events({ sessionId: "s" }, signal)) events.push(event);
      return events;
    };
    expect(await eventsOf(there)).toEqual(await eventsOf(here));
    const pieces: Buffer[] = [];
    for await (const piece of there.export({ sessionId: "s" }, signal)) pieces.push(Buffer.from(piece, "base64"));
    expect(Buffer.concat(pieces)).toEqual(Buffer.from(await stateManager.exportSession("s")));
    await expect(there.checkpoint({ sessionId: "nobody" })).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
    await expect(there.why({ sessionId: "no/such" })).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });

  it("follows events until it is told to stop, and ends them when it closes", async () => {
    const control = await serveControl(instance, stateManager);
    await instance.execute("x", { sessionId: "s" });
    const client = await connectControl(folder);
    const stop = new AbortController();
    const types: string[] = [];
    for await (const { type } of client!.operations.events({ sessionId: "s", follow: true }, stop.signal)) {
      types.push(type);
      if (type === "run.awaiting_user") stop.abort();
    }
    expect(types).toContain("user.asked");
    const rest = async (): Promise<void> => {
      for await (const _event of client!.operations.events(
        { sessionId: "s", follow: true },
        new AbortController().signal,
      ));
    };
    const followed = expect(rest()).rejects.toMatchObject({ code: "ORCH_CONTROL", details: { gone: true } });
    await client!.operations.sessions({});
    await control.close();
    await followed;
    await expect(client!.operations.sessions({})).rejects.toMatchObject({ code: "ORCH_CONTROL" });
  });

  it.each([
    ["a wrong token", () => [hello({ token: "guessed" })], "ORCH_CONTROL", "the token is not"],
    ["another version", () => [hello({ control: 2 })], "ORCH_CONTROL", "version 2"],
    ["no greeting", () => ['{"id":1,"op":"sessions","args":{}}'], "ORCH_CONTROL", "a greeting"],
    ["what is no JSON", () => ["GET / HTTP/1.1"], "ORCH_CONTROL", "a line of JSON"],
  ])("ends a connection that begins with %s", async (_, lines, code, message) => {
    await using _control = await serveControl(instance, stateManager);
    expect(await talk(lines())).toMatchObject([{ control: 1, ...refusal(code, message) }]);
  });

  it("stops what its client takes no more of, so that it holds no place", async () => {
    await using _control = await serveControl(instance, stateManager);
    await instance.execute("t", { sessionId: "s" });
    await using client = await connectControl(folder);
    const never = new AbortController().signal;
    for (let i = 0; i < 70; i++)
      for await (const event of client!.operations.events({ sessionId: "s", follow: true }, never))
        if (event.type === "run.started") break;
    expect(await client!.operations.session({ sessionId: "s" })).toMatchObject({ status: "awaiting_user" });
  });

  it("ends a connection whose request has no end, and goes on serving others", async () => {
    await using _control = await serveControl(instance, stateManager);
    const [welcome, refused] = await talk([hello(), "x".repeat(2 * 1024 * 1024)]);
    expect(welcome).toEqual({ control: 1, pid: process.pid });
    expect(refused).toMatchObject(refusal("ORCH_PAYLOAD_TOO_LARGE", "1048576"));
    expect(await talk([hello(), '{"id":1,"op":"sessions","args":{}}'], 2)).toMatchObject([{}, { id: 1, value: [] }]);
  });

  it("refuses what it does not know, request by request", async () => {
    await using _control = await serveControl(instance, stateManager);
    const requests = [
      { id: 1, op: "constructor", args: {} },
      { id: 2, op: "sessions", args: { limit: -1 } },
      { id: 3, op: "why", args: { sessionId: 7 } },
      { id: 4, op: "pause", args: { sessionId: "s", force: true } },
      { id: 5, op: "sessions", args: {} },
    ];
    const [, ...answers] = await talk([hello(), ...requests.map((one) => JSON.stringify(one))], 6);
    expect(answers.slice(0, 4)).toMatchObject([
      { id: 1, ...refusal("ORCH_CONTROL", 'no operation "constructor"') },
      { id: 2, ...refusal("ORCH_CONTROL", "limit") },
      { id: 3, ...refusal("ORCH_CONTROL", "sessionId") },
      { id: 4, ...refusal("ORCH_CONTROL", "force") },
    ]);
    expect(answers[4]).toEqual({ id: 5, value: [] });
  });

  it("takes so many requests at a time and no more", async () => {
    await using _control = await serveControl(instance, stateManager);
    await instance.execute("x", { sessionId: "s" });
    const follow = (id: number): string =>
      JSON.stringify({ id, op: "events", args: { sessionId: "s", follow: true, after: 2 ** 40 } });
    const ids = Array.from({ length: 65 }, (_, i) => i + 1);
    const [, answer] = await talk([hello(), ...ids.map(follow)], 2);
    expect(answer).toMatchObject({ id: 65, ...refusal("ORCH_OVERLOADED", "64 requests") });
  });

  it("are refused at once where too many say nothing; those hold no place of ones that have greeted", async () => {
    await using _control = await serveControl(instance, stateManager);
    const silent = Array.from({ length: 32 }, () => createConnection(address().path));
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    try {
      expect(await talk([])).toMatchObject([refusal("ORCH_OVERLOADED", "32 connections")]);
      silent.pop()?.destroy();
      await expect.poll(() => talk([hello()], 1)).toMatchObject([{ pid: process.pid }]);
    } finally {
      for (const socket of silent) socket.destroy();
    }
  });

  it("are refused when 32 have greeted", async () => {
    await using _control = await serveControl(instance, stateManager);
    const clients = await Promise.all(Array.from({ length: 32 }, () => connectControl(folder)));
    await expect(connectControl(folder)).rejects.toMatchObject({ code: "ORCH_OVERLOADED" });
    await clients[0]?.close();
    await expect.poll(async () => (await connectControl(folder).catch(() => null))?.pid).toBe(process.pid);
    for (const client of clients) await client?.close();
  });

  it("are told of an error whose details JSON cannot say, or are too long, without those", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    const details = { big: 12n, cyclic, run: () => 1, long: "x".repeat(70_000), sessionId: "s", sizes: [1, 2] };
    expect(errorToWire(new OrchestraError("ORCH_BAD_OPTION", "no", { details }))).toEqual({
      code: "ORCH_BAD_OPTION",
      message: "no",
      details: { sessionId: "s", sizes: [1, 2] },
    });
  });
});

describe("serving", () => {
  it("is for a store in a folder, once in a process", async () => {
    await expect(serveControl(instance, new StateManager({ storage: memoryStorage() }))).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
    });
    await using _control = await serveControl(instance, stateManager);
    await expect(serveControl(instance, stateManager)).rejects.toMatchObject({
      code: "ORCH_CONTROL",
      message: expect.stringContaining(`pid ${process.pid}`),
    });
  });

  it("takes over what a process that is gone has left, and touches no other file it may name", async () => {
    const precious = join(folder, "precious.sock");
    writeFileSync(precious, "");
    writeFileSync(join(folder, "orchestra.control"), JSON.stringify({ v: 1, pid: 1, path: precious, token: "t" }));
    await using _control = await serveControl(instance, stateManager);
    expect(existsSync(precious)).toBe(true);
    await using client = await connectControl(folder);
    expect(client?.pid).toBe(process.pid);
  });

  it("lets an instance recover on its first use as if nobody served it", async () => {
    const topology = { nodes: ["B"] };
    const hanging = new OrchestraInstance({
      topology,
      agents: { B: (_: unknown, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)) },
      stateManager,
    });
    const events = hanging.stream("x", { sessionId: "s" });
    for await (const { type } of events) if (type === "step.started") break;
    await hanging.close();

    const later = new StateManager({ storage: new LevelStorage(folder) });
    await using recovering = new OrchestraInstance({ topology, agents: { B: () => "done" }, stateManager: later });
    await using _control = await serveControl(recovering, later);
    await using client = await connectControl(folder);
    await expect.poll(async () => (await client?.operations.session({ sessionId: "s" }))?.status).toBe("completed");
  });
});
