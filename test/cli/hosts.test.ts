// `host`, `hosts`, `dlq` and the other commands with `--nats`, on a real server.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processIo, type Io } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { natsBus } from "../../src/nats/index.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";

const AGENTS = `
export const A = (x) => \`\${x}a\`;
export const B = async (x, ctx) => {
  if (x === "slowa") await new Promise((resolve) => setTimeout(resolve, 2000));
  return \`\${x}b\`;
};
`;

let server: NatsServer;
let folder: string;
beforeAll(async () => {
  server = await startNats();
  folder = mkdtempSync(join(tmpdir(), "orchestra-hosts-"));
  writeFileSync(join(folder, "agents.ts"), AGENTS);
  writeFileSync(join(folder, "team.yaml"), 'nodes: [A, B]\nedges: ["A -> B"]\n');
  await run(["nats", "init", "--storage", "memory"]).ended;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** One command line, with a hand on its signals. */
function run(args: readonly string[]) {
  const said = { out: "", err: "" };
  const listeners = new Set<(signal: "SIGINT" | "SIGTERM") => void>();
  const io: Io = {
    ...processIo(),
    stdout: { isTTY: false, colours: false, columns: 80 },
    stderr: { isTTY: false, colours: false, columns: 80 },
    env: { ORCHESTRA_NATS: server.url },
    cwd: folder,
    stdin: Object.assign(Readable.from([]), { isTTY: false }),
    out: (text) => void (said.out += `${text}\n`),
    err: (text) => void (said.err += `${text}\n`),
    errRaw: (text) => void (said.err += text),
    onSignal(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    exit: () => undefined,
  };
  const ended = runCli(args, io).then((code) => ({ code, ...said }));
  return { said, ended, signal: (name: "SIGINT" | "SIGTERM") => listeners.forEach((listener) => listener(name)) };
}

describe("the command line on NATS", () => {
  it("serves, runs, looks, steers and drains", async () => {
    const lonely = await run(["hosts"]).ended;
    expect(lonely.out).toContain("no host is alive");
    const refused = await run(["run", "team.yaml", "--task", "t"]).ended;
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("ORCH_AGENT_UNKNOWN")]);

    const host = run(["host", "--agents", "agents.ts", "--slots", "4", "--label", "zone=eu"]);
    await until("it serves", () => host.said.err.includes("serves A, B (4 steps at a time)"));
    const listed = await run(["hosts", "--json"]).ended;
    expect(JSON.parse(listed.out)).toMatchObject([
      { agents: ["A", "B"], slots: 4, adopts: true, labels: { zone: "eu" }, pid: process.pid },
    ]);

    const ran = await run(["run", "team.yaml", "--task", "t", "--session", "s"]).ended;
    expect([ran.code, ran.out]).toEqual([0, "tab\n"]);
    expect((await run(["sessions"]).ended).out).toMatch(/^s +completed/);
    expect((await run(["events", "s"]).ended).out).toMatch(/A ✓[^]*B ✓[^]*■ completed/);

    const slow = run(["run", "team.yaml", "--task", "slow", "--session", "p"]);
    await until("B runs", () => /A ✓[^]*B …/.test(slow.said.err));
    expect((await run(["why", "p"]).ended).out).toMatch(/^p: running on host_/);
    const following = run(["events", "p", "--follow"]);
    expect((await run(["pause", "p", "--reason", "look"]).ended).code).toBe(0);
    expect((await run(["why", "p"]).ended).out).toMatch(/pausing \(look\): host_\w+ waits for those of B \(1\.0\.2\)/);
    expect((await slow.ended).code).toBe(3);
    const resumed = await run(["resume", "p"]).ended;
    expect([resumed.code, resumed.out]).toEqual([0, "slowab\n"]);
    expect((await following.ended).out).toMatch(/‖ paused: look[^]*▶ resumed[^]*■ completed/);

    const left = run(["run", "team.yaml", "--task", "slow", "--session", "q"]);
    await until("B runs", () => /A ✓[^]*B …/.test(left.said.err));
    left.signal("SIGTERM");
    expect(await left.ended).toMatchObject({
      code: 143,
      err: expect.stringMatching(/go on with the session; follow it again with: orchestra resume q/),
    });
    expect((await run(["why", "q"]).ended).out).toMatch(/^q: running on host_/);
    expect((await run(["cancel", "q"]).ended).code).toBe(0);

    host.signal("SIGTERM");
    const drained = await host.ended;
    expect([drained.code, drained.err]).toEqual([0, expect.stringMatching(/drained\n$/)]);
    expect((await run(["hosts"]).ended).out).toContain("no host is alive");
  });

  it("shows Prometheus what a host does, and whether it serves", async () => {
    const host = run(["host", "--agents", "agents.ts", "--slots", "4", "--metrics-port", "0"]);
    await until("it serves", () => host.said.err.includes("serves A, B"));
    const [, url = ""] = /metrics at (\S+)\/metrics/.exec(host.said.err) ?? [];
    const metrics = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
    expect((await run(["run", "team.yaml", "--task", "t", "--session", "m"]).ended).out).toBe("tab\n");
    const lines = [
      "orchestra_runs_total 1",
      "orchestra_runs_completed_total 1",
      'orchestra_steps_succeeded_total{node="B"} 1',
      'orchestra_host_attempts_total{agent="A",outcome="succeeded"} 1',
      "orchestra_host_slots 4",
      "orchestra_host_lease_held 1",
      'orchestra_bus_state{state="connected"} 1',
      'orchestra_queue_depth{agent="B"} 0',
    ];
    const missing = async (): Promise<string[]> => {
      const text = await metrics();
      return lines.filter((line) => !text.includes(`${line}\n`));
    };
    await expect.poll(missing).toEqual([]);
    const healthy = await fetch(`${url}/healthz`);
    expect([healthy.status, await healthy.json()]).toEqual([
      200,
      expect.objectContaining({ ok: true, state: "serving" }),
    ]);
    expect((await fetch(`${url}/other`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
    const taken = await run(["host", "--agents", "agents.ts", "--metrics-port", new URL(url).port]).ended;
    expect([taken.code, taken.err]).toEqual([2, expect.stringContaining("EADDRINUSE")]);

    const slow = run(["run", "team.yaml", "--task", "slow", "--session", "n"]);
    await until("B runs", () => /A ✓[^]*B …/.test(slow.said.err));
    expect(await metrics()).toContain("orchestra_host_steps_running 1\n");
    host.signal("SIGTERM");
    await until("it is known to drain", async () => (await fetch(`${url}/healthz`)).status === 503);
    expect(await metrics()).toContain('orchestra_host_state{state="draining"} 1\n');
    expect((await host.ended).code).toBe(0);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    expect((await slow.ended).out).toBe("slowab\n");
  });

  it("lists, shows and drops dead letters, and says of one whose run went on that it did", async () => {
    const bus = natsBus({ servers: server.url });
    const step = { sessionId: "gone", runId: "r", stepId: "1.0.1", agent: "P", attempt: 1, body: { some: "input" } };
    const worker = bus.steps.serve({ agents: ["P"], slots: 1, run: (claim) => claim.giveUp("cannot") });
    await bus.steps.offer(step);
    await until("it is dead", async () => (await bus.deadLetters.list()).length === 1);
    await worker.stop();
    await bus.close();
    const listed = JSON.parse((await run(["dlq", "list", "--session", "gone", "--json"]).ended).out) as {
      id: string;
    }[];
    expect(listed).toMatchObject([{ sessionId: "gone", stepId: "1.0.1", agent: "P", reason: "cannot", deliveries: 1 }]);
    const id = listed[0]?.id ?? "";
    expect((await run(["dlq", "show", id]).ended).out).toMatch(/reason +cannot[^]*"some": "input"/);
    expect((await run(["dlq", "retry", id]).ended).err).toContain("no longer waited for");
    expect((await run(["dlq", "drop", id]).ended).code).toBe(0);
    expect(await run(["dlq", "show", id]).ended).toMatchObject({
      code: 2,
      err: expect.stringContaining("no dead letter"),
    });
    expect((await run(["dlq", "list"]).ended).err).toBe("no dead letters\n");
  });

  it("refuses two places at once, and a letter that is not named", async () => {
    expect((await run(["sessions", "--store", "x", "--nats", server.url]).ended).code).toBe(2);
    expect((await run(["dlq", "show"]).ended).code).toBe(2);
    expect((await run(["host"]).ended).code).toBe(2);
    expect((await run(["host", "--agents", "agents.ts", "--per-agent", "A=none"]).ended).code).toBe(2);
  });
});
