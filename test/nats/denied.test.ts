// Workers that may do no more than work.

import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { openNatsAdmin } from "../../src/nats/admin.ts";
import { namesOf } from "../../src/nats/names.ts";
import { natsBus, type NatsBus } from "../../src/nats/nats-bus.ts";
import { permissionsOf, serverBlock, type Permissions } from "../../src/nats/permissions.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { keepingLogger } from "./bus-world.ts";

const names = namesOf({});
const worker = permissionsOf("worker", { names, agents: ["a"], inboxPrefix: "_INBOX" });
const withoutCreating: Permissions = {
  ...worker,
  publish: worker.publish.filter((subject) => !subject.startsWith(`$JS.API.CONSUMER.CREATE.${names.streams.work}`)),
};
const USERS = { ops: permissionsOf("operator", { names, inboxPrefix: "_INBOX" }), worker, bare: withoutCreating };

let server: NatsServer;
const open: NatsBus[] = [];
beforeAll(async () => {
  const users = Object.entries(USERS).map(([user, may]) => `{ user: ${user}, password: "pw", ${serverBlock(may)} }`);
  server = await startNats({ config: `authorization { users: [\n${users.join("\n")}\n] }` });
  await using admin = await openNatsAdmin({ servers: server.url, user: "ops", pass: "pw" });
  await admin.init();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close()));
});
afterAll(() => server[Symbol.asyncDispose]());

function busOf(user: keyof typeof USERS) {
  const { logger, logged } = keepingLogger();
  const bus = natsBus({ servers: server.url, user, pass: "pw", connectTimeoutMs: 60_000, localFirst: false, logger });
  open.push(bus);
  return { bus, logged };
}

/** A worker that has done what it claims. */
function servingOf(user: keyof typeof USERS) {
  const { bus, logged } = busOf(user);
  const claimed: string[] = [];
  bus.steps.serve({
    agents: ["a"],
    slots: 1,
    run(claim) {
      claimed.push(claim.step.stepId);
      return claim.done();
    },
  });
  return { logged, claimed };
}

const step = { sessionId: "s", runId: "r", stepId: "1.0.1", agent: "a", attempt: 1, body: null };

it("bury what they give up, once, though they may not read dead letters", async () => {
  const { bus: ops } = busOf("ops");
  const { bus, logged } = busOf("worker");
  await ops.steps.offer(step);
  bus.steps.serve({ agents: ["a"], slots: 1, run: (claim) => claim.giveUp("no use") });
  await until("it is buried", async () => (await ops.deadLetters.list()).length > 0);
  await until("its id is free", async () => (await ops.steps.offer({ ...step, stepId: "1.0.1" })) === "queued");
  await until("it is buried again", async () => (await ops.deadLetters.list()).length > 1);
  expect((await ops.deadLetters.list()).map(({ reason }) => reason)).toEqual(["no use", "no use"]);
  expect(logged.filter(({ level }) => level === "warn").map(({ message }) => message)).not.toContain(
    "no messages can be asked for; tried again",
  );
});

it("are told the command that makes the consumer they lack, and work once it is made", async () => {
  const { bus: ops } = busOf("ops");
  const { jsm } = await ops.link.connected();
  await jsm.consumers.delete(names.streams.work, "agent_a").catch(() => false);
  const { logged, claimed } = servingOf("bare");
  await until("it is said what is missing", () => logged.some(({ level }) => level === "error"));
  expect(logged.find(({ level }) => level === "error")?.fields["error"]).toMatchObject({
    code: "ORCH_BUS_DENIED",
    message: expect.stringContaining(
      "nats consumer add ORCH_WORK agent_a --pull --filter 'o.work.a.*.*.*' --ack explicit",
    ),
  });
  const hosting = ops.steps.serve({ agents: ["a"], slots: 0, run: (claim) => claim.done() });
  hosting.setSlots(1);
  await ops.steps.offer({ ...step, stepId: "1.0.2" });
  await until("an operator's process has made it", async () =>
    jsm.consumers.info(names.streams.work, "agent_a").then(
      () => true,
      () => false,
    ),
  );
  await hosting.stop();
  await ops.steps.offer({ ...step, stepId: "1.0.3" });
  await until("the worker has the step", () => claimed.includes("1.0.3"));
});

it("work without that right when an operator made the consumer beforehand, as a host would", async () => {
  const { bus: ops } = busOf("ops");
  const { jsm } = await ops.link.connected();
  await jsm.consumers.delete(names.streams.work, "agent_a").catch(() => false);
  await using admin = await openNatsAdmin({ servers: server.url, user: "ops", pass: "pw" });
  await admin.init({ agents: ["a"] });
  const { logged, claimed } = servingOf("bare");
  await ops.steps.offer({ ...step, stepId: "9.0.1" });
  await until("it works", () => claimed.includes("9.0.1"));
  expect(logged.filter(({ level }) => level === "error")).toEqual([]);
  expect(logged.map(({ message }) => message)).not.toContain(
    "a consumer has other settings than this host's; left as it is",
  );
});
