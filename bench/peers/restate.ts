// Restate: one handler per shape, every step a `ctx.run`, whose result Restate's server has on disk before the next one
// begins. The server is a process of its own, from its npm package, on ports of its own choosing in its folder.

import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import * as restate from "@restatedev/restate-sdk";
import * as clients from "@restatedev/restate-sdk-clients";
import {
  inSessions,
  PeerMissing,
  rowOf,
  waitThenAddOne,
  type Contender,
  type Prepared,
  type Shape,
} from "../contender.ts";

const START_MS = 30_000;

// Its SDK expects Node.js 22 in this one place; without it Restate could not be measured on 20.
if (!("withResolvers" in Promise)) {
  Object.assign(Promise, {
    withResolvers<T>() {
      let settle: object = {};
      const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
      return { promise, ...settle };
    },
  });
}

function serviceFor(shape: Shape) {
  const steps = rowOf(shape);
  const step = shape.kind === "sessions" ? waitThenAddOne : (value: number) => value + 1;
  return restate.service({
    name: "bench",
    handlers: {
      async run(ctx: restate.Context, start: number): Promise<number> {
        if (shape.kind === "fan-out") {
          const first = await ctx.run("first", () => start + 1);
          const workers = Array.from({ length: steps }, (_, i) => ctx.run(`worker${i}`, () => first + 1));
          const arrived = await restate.RestatePromise.all(workers);
          return ctx.run("join", () => arrived.reduce((sum, value) => sum + value, 0));
        }
        let value = start;
        for (let i = 0; i < steps; i++) {
          const input = value;
          value = await ctx.run(`worker${i}`, () => step(input));
        }
        return value;
      },
    },
  });
}

/** Five at once, so that none is given twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function programPath(): string {
  const require = createRequire(import.meta.url);
  const name = `@restatedev/restate-server-${process.platform}-${process.arch}`;
  try {
    return require.resolve(`${name}/bin/restate-server`);
  } catch {
    throw new PeerMissing(`Restate's server is not published for ${process.platform}-${process.arch} (${name})`);
  }
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  for (let waited = 0; waited < START_MS && child.exitCode === null; waited += 100) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await sleep(100);
  }
  child.kill();
  throw new Error(`restate-server did not answer on ${url} (exit code ${child.exitCode})`);
}

async function prepare(shape: Shape, folder: string): Promise<Prepared> {
  const [ingress = 0, admin = 0, node = 0, service = 0] = await freePorts(4);
  const child = spawn(programPath(), ["--base-dir", folder, "--node-name", "bench", "--listen-mode", "tcp"], {
    cwd: folder,
    stdio: "ignore",
    env: {
      ...process.env,
      DO_NOT_TRACK: "1",
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LOG_FILTER: "error",
      RESTATE_BIND_PORT: String(node),
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
    },
  });
  const definition = serviceFor(shape);
  const endpoint = await serve(definition, service);
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await endpoint.close();
  };
  try {
    await answers(child, `http://127.0.0.1:${admin}/health`);
    await answers(child, `http://127.0.0.1:${ingress}/restate/health`);
    const registered = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
    });
    if (!registered.ok) throw new Error(`Restate refused the service: ${await registered.text()}`);
  } catch (error) {
    await close();
    throw error;
  }
  const client = clients.connect({ url: `http://127.0.0.1:${ingress}` }).serviceClient(definition);
  return { run: () => inSessions(shape, async () => client.run(0)), close };
}

async function serve(definition: ReturnType<typeof serviceFor>, port: number): Promise<{ close: () => Promise<void> }> {
  const { createServer: createHttp2Server } = await import("node:http2");
  const server = createHttp2Server(restate.createEndpointHandler({ services: [definition], logger: () => undefined }));
  const sessions = new Set<{ destroy: () => void }>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

export const restateContenders: readonly Contender[] = [
  {
    id: "restate",
    name: "Restate, a `ctx.run` per step",
    keeps: "every step, past loss of power",
    prepare,
  },
];
