// `orchestra move` between a real folder and a real server.

import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { processIo } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { LevelStorage, next, OrchestraInstance, StateManager } from "../../src/index.ts";
import { natsBus } from "../../src/nats/index.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

async function run(args: readonly string[]) {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    ...processIo(),
    env: { ORCHESTRA_NATS: server.url },
    out: (text) => void (out += `${text}\n`),
    err: (text) => void (err += `${text}\n`),
    errRaw: (text) => void (err += text),
  });
  return { code, out, err };
}

const ASKING = {
  topology: { nodes: ["A"], edges: [] },
  agents: {
    A: (_task: unknown, ctx: { question?: { prompt: unknown } }) => (ctx.question ? "done" : next.ask("why?")),
  },
};

it("takes a session to the bus and back, and it goes on where it stood", async () => {
  const folder = join(await temporaryFolder(), "state");
  const here = new OrchestraInstance({
    ...ASKING,
    stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  });
  const asked = await here.execute({ task: "t", sessionId: "s" });
  expect(asked.status).toBe("awaiting_user");
  await here.close();
  expect(await run(["nats", "init"])).toMatchObject({ code: 0 });

  expect(await run(["move", "s", "--store", folder, "--to", "bus"])).toMatchObject({ code: 0, out: "s\n" });
  const local = new LevelStorage(folder);
  expect(await local.listSessions()).toEqual([]);
  await local.close();
  const bus = natsBus({ servers: server.url });
  expect(await bus.sessions.getSession("s")).toMatchObject({ status: "awaiting_user" });
  expect(await run(["move", "s", "--store", folder, "--to", "bus"])).toMatchObject({
    code: 2,
    err: expect.stringContaining("ORCH_SESSION_UNKNOWN"),
  });

  const back = await run(["move", "s", "--store", folder, "--to", "folder", "--json"]);
  expect([back.code, JSON.parse(back.out)]).toEqual([0, { sessionId: "s", to: "folder", sessions: 1 }]);
  expect(await bus.sessions.stats()).toMatchObject({ sessions: 0, commits: 0, blobs: 0, checkpoints: 0 });
  await bus.close();
  const again = new OrchestraInstance({
    ...ASKING,
    stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  });
  const ended = await again.resumeSession("s", { userResponse: "because" });
  expect([ended.status, ended.finalResponse]).toEqual(["completed", "done"]);
  await again.close();
});
