import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import * as sdk from "@a2a-js/sdk";
import { ClientFactory } from "@a2a-js/sdk/client";
import { describe, expect, it } from "vitest";
import { A2aTaskView } from "../../../src/agents/remote/a2a-task-view.ts";
import { CARD, foreign, message, piece, remote, served, status, task } from "./a2a-servers.ts";
import { httpServer, runOf, stream, tcpServer } from "./servers.ts";

const STREAMING = { capabilities: { streaming: true } };
const TOO_LARGE = { code: "ORCH_PAYLOAD_TOO_LARGE" };

describe("a server of A2A whose caller reads slowly", () => {
  const PIECE = "x".repeat(256 * 1024);
  const PIECES = 50;

  it(
    "keeps a few MiB for it, ends its stream, and gives all of the task when asked again",
    { timeout: 300_000 },
    async () => {
      const responses: ServerResponse[] = [];
      const { url } = await served(
        async (_input, ctx) => {
          for (let i = 0; i < PIECES; i++) {
            ctx.emit(PIECE);
            await new Promise((resolve) => setImmediate(resolve));
          }
          return PIECE.repeat(PIECES);
        },
        {},
        (_request, response) => (responses.push(response), false),
      );
      const sent = httpRequest(url, {
        method: "POST",
        headers: { "content-type": "application/json", "a2a-version": "1.0" },
      });
      const parts = [{ text: "otters" }];
      const params = { message: { messageId: "m1", role: "ROLE_USER", parts } };
      sent.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "SendStreamingMessage", params }));
      const [unread] = (await once(sent, "response")) as [IncomingMessage];
      const client = await new ClientFactory().createFromUrl(url);
      const listed = async () => {
        const { tasks } = await client.listTasks({
          tenant: "",
          contextId: "",
          status: 0,
          pageToken: "",
          includeArtifacts: false,
          statusTimestampAfter: undefined,
        });
        return tasks[0];
      };
      await expect.poll(async () => (await listed())?.status?.state, { timeout: 60_000, interval: 200 }).toBe(3);
      expect(responses[0]?.writableLength).toBeLessThan(5 * 1024 * 1024);
      let text = "";
      for await (const read of unread.setEncoding("utf8")) text += String(read);
      expect(text).not.toContain("COMPLETED");
      const { id = "" } = (await listed()) ?? {};
      expect((await client.getTask({ tenant: "", id })).artifacts[0]?.parts[0]?.content?.value).toBe(
        PIECE.repeat(PIECES),
      );
    },
  );
});

describe("text that comes in many pieces", () => {
  it("is one part of the task, and all of the value", async () => {
    const pieces = Array.from({ length: 2_000 }, (_, i) => `${i} `);
    const { url } = await served((_input, ctx) => {
      for (const text of pieces) ctx.emit(text);
      return pieces.join("");
    });
    const client = await new ClientFactory().createFromUrl(url);
    const done = await client.sendMessage(message("otters"));
    expect(done).toMatchObject({ artifacts: [{ parts: [{ content: { value: pieces.join("") } }] }] });
    expect((await runOf(remote(url))).result.finalResponse).toBe(pieces.join(""));
  });

  it("costs its caller the same for each, however many came before", () => {
    let shown = 0;
    const view = new A2aTaskView(sdk, () => void shown++);
    // What took a copy of the former ones with each would not come to an end within the time of a test.
    for (let i = 0; i < 200_000; i++) view.take(sdk.StreamResponse.fromJSON(piece("x")));
    view.take(sdk.StreamResponse.fromJSON(status("COMPLETED")));
    expect(view.end()).toMatchObject({ value: "x".repeat(200_000) });
    expect(shown).toBe(200_000);
  });
});

describe("a call by A2A", () => {
  it("is cut off at the bounds of size and time", async () => {
    const url: string = await httpServer((request, response) => {
      if (request.method === "GET") return void response.end(JSON.stringify(CARD(url, STREAMING)));
      request.resume();
      stream(response);
      const more = (): void => {
        while (!response.destroyed && response.write(": alive\n"));
      };
      response.on("drain", more);
      more();
    });
    const limits = { responseBytesMax: 100_000 };
    expect((await runOf(remote(url, { limits }))).result.error).toMatchObject(TOO_LARGE);
    const silent = await tcpServer((socket) => void socket.resume());
    expect((await runOf(remote(silent, { timeoutMs: 50 }))).result.error).toMatchObject({ code: "ORCH_TIMEOUT" });
  });

  it.each([
    ["one event", { eventBytesMax: 10_000 }, [piece("x".repeat(10_000))], { bytesMax: 10_000 }],
    ["one event, at most what the SDK takes", {}, [piece("x".repeat(4 << 20))], { bytesMax: 4 << 20 }],
    ["the number of events", { eventsMax: 3 }, [piece("a"), piece("b"), piece("c")], { eventsMax: 3 }],
  ])("is cut off at the bound of %s", async (_what, limits, pieces, data) => {
    const { url } = await foreign(
      { SendStreamingMessage: () => [{ task: task("WORKING") }, ...pieces, status("COMPLETED")] },
      STREAMING,
    );
    expect((await runOf(remote(url, { limits }))).result.error).toMatchObject({ ...TOO_LARGE, data });
  });

  it("closes an answer that nobody reads", async () => {
    const closed: Promise<unknown>[] = [];
    const url = await httpServer((_request, response) => {
      closed.push(once(response, "close"));
      response.writeHead(404).write("not found, and so on, and so on");
    });
    expect((await runOf(remote(url))).result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED" });
    await Promise.all(closed);
    expect(closed).not.toHaveLength(0);
  });
});
