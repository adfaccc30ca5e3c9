// TLS with a real server: whom a bus trusts, and who is let in.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsBus, type NatsConnectOptions } from "orchestra/nats";
import { createAuthority, type Authority } from "../support/certificates.ts";
import { temporaryFolder } from "../support/leftovers.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

const folder = temporaryFolder("tls");
let ours: Authority;
let theirs: Authority;

beforeAll(() => {
  ours = createAuthority(folder, "ours");
  theirs = createAuthority(folder, "theirs");
});

async function connecting(
  server: NatsServer,
  tls?: NatsConnectOptions["tls"],
  { scheme = "tls", withinMs = 60_000 } = {},
) {
  const servers = `${scheme}://localhost:${server.port}`;
  const bus = natsBus({ servers, init: true, connectTimeoutMs: withinMs, ...(tls !== undefined && { tls }) });
  try {
    await bus.open();
    return bus.link.status;
  } finally {
    await bus.close();
  }
}

function refusal(saying: RegExp) {
  return { code: "ORCH_BUS_UNREACHABLE", message: expect.stringMatching(saying) };
}

describe("a server with a certificate", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats({ tls: ours.sign("server") });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each(["tls", "nats"])("is used by who trusts its authority, named by %s://", async (scheme) => {
    expect(await connecting(server, { caFile: ours.cert }, { scheme })).toBe("connected");
  });

  it("is refused by who trusts another authority, or only those of the machine, with the option that mends it", async () => {
    for (const tls of [{ caFile: theirs.cert }, true])
      await expect(connecting(server, tls)).rejects.toMatchObject(refusal(/certificate.*"tls\.caFile"/));
  });

  it("is refused by who says nothing of TLS", async () => {
    await expect(connecting(server, undefined, { scheme: "nats" })).rejects.toMatchObject(refusal(/"tls\.caFile"/));
  });

  it("is refused when its certificate is for another host, which no other authority would mend", async () => {
    await using other = await startNats({ tls: ours.sign("other", "n1.example") });
    const error: unknown = await connecting(other, { caFile: ours.cert }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(refusal(/n1\.example.*address each server by a name in its certificate/));
    expect((error as Error).message).not.toContain("caFile");
  });
});

describe("a server that asks clients for a certificate", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats({ tls: { ...ours.sign("strict"), ca: ours.cert } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it("lets in who shows one by its authority", async () => {
    const { cert: certFile, key: keyFile } = ours.sign("host");
    expect(await connecting(server, { caFile: ours.cert, certFile, keyFile })).toBe("connected");
  });

  it("refuses who shows none, or one by another authority, with the options that mend it", async () => {
    const { cert: certFile, key: keyFile } = theirs.sign("stranger");
    const refused = refusal(/"tls\.certFile" and "tls\.keyFile"/);
    const showing = (shown: object) => connecting(server, { caFile: ours.cert, ...shown }, { withinMs: 3_000 });
    await Promise.all(
      [{}, { certFile, keyFile }].map((shown) => expect(showing(shown)).rejects.toMatchObject(refused)),
    );
  });
});

it("refuses a server without TLS when a certificate is expected", async () => {
  await using plain = await startNats();
  await expect(connecting(plain, { caFile: ours.cert })).rejects.toMatchObject(refusal(/'tls'.*"tls\.caFile"/));
});

it("names a file that is not there, and its option", async () => {
  await using server = await startNats({ tls: ours.sign("another") });
  const caFile = `${folder}/nowhere.pem`;
  await expect(connecting(server, { caFile })).rejects.toMatchObject({
    code: "ORCH_BAD_OPTION",
    message: expect.stringMatching(/tls\.caFile.*nowhere\.pem/),
  });
});
