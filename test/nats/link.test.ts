// Connecting: what is found good, and what is refused with the way out.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, nkeys } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsBus } from "orchestra/nats";
import { startNats, type NatsServer } from "../support/nats.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { freePorts } from "../support/ports.ts";

describe("a bus on a server of one's own", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it("touches no network before its first use", async () => {
    const bus = natsBus({ servers: server.url });
    expect(bus.link.status).toBe("idle");
    await bus.close();
    expect(bus.link.status).toBe("closed");
    await expect(bus.open()).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });

  it("names every asset that is missing, and the command that makes them", async () => {
    const bus = natsBus({ servers: server.url, tenant: "acme" });
    const error = await bus.open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ORCH_BUS_ASSETS" });
    const { message } = error as Error;
    for (const name of ["ORCH_LOG", "ORCH_WORK", "ORCH_RES", "ORCH_IN", "ORCH_DLQ", "ORCH_BLOBS", "ORCH_SPILL"])
      expect(message).toContain(`${name}_acme is missing`);
    for (const name of ["hosts", "sessions", "snapshots", "checkpoints"])
      expect(message).toContain(`KV_orch_${name}_acme is missing`);
    expect(message).toContain(`orchestra nats init --servers ${server.url} --tenant acme`);
    expect(bus.link.status).toBe("idle");
    await bus.close();
  });

  it("creates them when asked to, and finds them good from then on", async () => {
    const first = natsBus({ servers: server.url, init: { storage: "memory" } });
    await first.open();
    expect(await first.link.connected()).toMatchObject({ replicas: 1, storage: "memory" });
    await first.close();
    const second = natsBus({ servers: server.url });
    await second.open();
    expect(second.link.status).toBe("connected");
    await second.close();
  });

  it("lists each setting that is not safe, but leaves an operator's limits alone", async () => {
    await using admin = await administer(server);
    await admin.streams.update("ORCH_RES", { discard_new_per_subject: false });
    await admin.streams.update("ORCH_IN", { max_age: 1e9 * 600 });
    await admin.streams.update("ORCH_LOG", { max_bytes: 1e9, description: "ours" });
    const bus = natsBus({ servers: server.url });
    const error = await bus.open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ORCH_BUS_ASSETS" });
    const listed = (error as Error).message.split("\n").filter((line) => line.startsWith("  "));
    expect(listed).toEqual([
      "  ORCH_RES: discard_new_per_subject is unset, expected true",
      "  ORCH_IN: max_age is 600 s, expected at least 604800 s",
    ]);
    const mending = natsBus({ servers: server.url, init: true });
    await mending.open();
    await Promise.all([bus.close(), mending.close()]);
    expect((await admin.streams.info("ORCH_LOG")).config).toMatchObject({ max_bytes: 1e9, description: "ours" });
  });
});

describe("a server that cannot be used", () => {
  it("is refused where none is running", async () => {
    const [port] = await freePorts(1);
    const bus = natsBus({ servers: `127.0.0.1:${port}`, connectTimeoutMs: 1_000 });
    await expect(bus.open()).rejects.toMatchObject({
      code: "ORCH_BUS_UNREACHABLE",
      message: expect.stringMatching(new RegExp(`no NATS server answered within 1000 ms at nats://127.0.0.1:${port}`)),
    });
    await bus.close();
  });

  it("is reached once it comes up within the time given", async () => {
    const [port] = await freePorts(1);
    const bus = natsBus({ servers: `127.0.0.1:${port}`, init: true, connectTimeoutMs: 60_000 });
    const opening = bus.open();
    await using server = await startNats({ port: port! });
    await opening;
    expect(bus.link.status).toBe("connected");
    await bus.close();
    expect(server.isRunning).toBe(true);
  });

  it("is refused without JetStream", async () => {
    await using server = await startNats({ jetstream: false });
    const bus = natsBus({ servers: server.url, init: true });
    await expect(bus.open()).rejects.toMatchObject({
      code: "ORCH_BUS_SERVER",
      message: expect.stringContaining("JetStream"),
    });
    await bus.close();
  });

  it("is refused with 2.9 in a cluster, naming the reason and the remedy", async () => {
    await using cluster = await startCluster({ version: "2.9" });
    const bus = natsBus({ servers: cluster.urls, init: true, connectTimeoutMs: 60_000 });
    await expect(bus.open()).rejects.toMatchObject({
      code: "ORCH_BUS_SERVER",
      message: expect.stringMatching(/2\.9\.\d+ is clustered.*compare-and-set.*install nats-server 2\.10\.27/),
    });
    await bus.close();
  });

  it("is taken with 2.9 when it stands alone, with a warning", async () => {
    await using server = await startNats({ version: "2.9" });
    const warnings: string[] = [];
    const logger = collecting(warnings);
    const bus = natsBus({ servers: server.url, init: true, connectTimeoutMs: 60_000, logger });
    await bus.open();
    expect(warnings).toEqual([expect.stringMatching(/2\.9\.\d+ is no longer maintained/)]);
    await bus.close();
  });
});

describe("credentials", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats({ config: 'authorization { users: [{ user: ann, password: "s3cret" }] }' });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each([
    ["none", {}, "without credentials"],
    ["a wrong password", { user: "ann", pass: "guess" }, 'user "ann"'],
  ])("that are refused are told at once: %s", async (_name, given, named) => {
    const bus = natsBus({ servers: server.url, ...given });
    const error = await bus.open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ORCH_BUS_DENIED", message: expect.stringContaining(named) });
    expect((error as Error).message).not.toContain("guess");
    await bus.close();
  });

  it("may be the seed of an nkey in a file, read anew at each connect", async () => {
    const key = nkeys.createUser();
    await using guarded = await startNats({ config: `authorization { users: [{ nkey: ${key.getPublicKey()} }] }` });
    const file = join(guarded.folder, "host.nk");
    const bus = natsBus({ servers: guarded.url, init: true, nkey: file });
    await expect(bus.open()).rejects.toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(file) });
    writeFileSync(file, nkeys.createUser().getSeed());
    await expect(bus.open()).rejects.toMatchObject({ code: "ORCH_BUS_DENIED" });
    writeFileSync(file, key.getSeed());
    await bus.open();
    expect(bus.link.status).toBe("connected");
    await bus.close();
  });

  it("may be a JWT and a seed in a file, read anew at each connect", async () => {
    const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
    const system = nkeys.createAccount().getPublicKey();
    const limits = { subs: -1, data: -1, payload: -1, conn: -1, imports: -1, exports: -1, wildcards: true };
    const room = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
    const [anyone, own] = [{ pub: {}, sub: {} }, account.getPublicKey()];
    const ofAccount = { limits: { ...limits, ...room }, default_permissions: anyone, type: "account", version: 2 };
    const jwts = [
      jwt(operator, operator.getPublicKey(), { type: "operator", version: 2 }),
      jwt(operator, own, ofAccount),
      jwt(account, user.getPublicKey(), { ...anyone, subs: -1, data: -1, payload: -1, type: "user", version: 2 }),
    ];
    await using guarded = await startNats({
      config: [
        `operator: ${jwts[0]}\nsystem_account: ${system}\nresolver: MEMORY`,
        `resolver_preload: { ${own}: ${jwts[1]}, ${system}: ${jwt(operator, system, { ...ofAccount, limits })} }`,
      ].join("\n"),
    });
    const file = join(guarded.folder, "host.creds");
    const creds = (seed: Uint8Array): string =>
      `-----BEGIN NATS USER JWT-----\n${jwts[2]}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${Buffer.from(seed).toString()}\n------END USER NKEY SEED------\n`;
    const bus = natsBus({ servers: guarded.url, init: true, creds: file });
    writeFileSync(file, "no credentials");
    await expect(bus.open()).rejects.toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(file) });
    writeFileSync(file, creds(nkeys.createUser().getSeed()));
    await expect(bus.open()).rejects.toMatchObject({ code: "ORCH_BUS_DENIED", message: expect.stringContaining(file) });
    writeFileSync(file, creds(user.getSeed()));
    await bus.open();
    expect(bus.link.status).toBe("connected");
    await bus.close();
  });

  it("may stand in the address", async () => {
    const bus = natsBus({ servers: server.url.replace("//", "//ann:s3cret@"), init: true });
    await bus.open();
    expect(bus.link.status).toBe("connected");
    await bus.close();
  });
});

/** As NATS' own tools sign one. */
function jwt(issuer: nkeys.KeyPair, subject: string, nats: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { jti: subject, iat: 1, iss: issuer.getPublicKey(), sub: subject, name: "test", nats };
  const signed = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(claims)}`;
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url")}`;
}

async function administer(server: NatsServer) {
  const nc = await connect({ servers: server.url });
  const { streams } = await jetstreamManager(nc);
  return { streams, [Symbol.asyncDispose]: () => nc.close() };
}

function collecting(warnings: string[]) {
  const nothing = (): void => undefined;
  const logger = {
    debug: nothing,
    info: nothing,
    warn: (_fields: Record<string, unknown>, message: string) => void warnings.push(message),
    error: nothing,
    child: () => logger,
  };
  return logger;
}
