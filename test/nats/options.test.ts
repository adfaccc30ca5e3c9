import { describe, expect, it } from "vitest";
import { natsBus } from "orchestra/nats";
import { resolveBusOptions, resolveConnectOptions } from "../../src/nats/options.ts";

describe("options of natsBus", () => {
  it("understands one address, several, and a user in the address", () => {
    expect(resolveConnectOptions({ servers: "127.0.0.1" }).servers).toEqual(["nats://127.0.0.1"]);
    expect(resolveConnectOptions({ servers: "nats://a:1, tls://b:2" }).servers).toEqual(["nats://a:1", "tls://b:2"]);
    const { servers, authentication } = resolveConnectOptions({ servers: ["nats://ann:s%40cret@a:4222", "b"] });
    expect([servers, authentication]).toEqual([
      ["nats://a:4222", "nats://b"],
      { by: "user", user: "ann", pass: "s@cret" },
    ]);
  });

  it("fills in what was not given", () => {
    const settings = resolveBusOptions({ servers: "a", init: true });
    expect(settings).toMatchObject({ connectTimeoutMs: 10_000, pingIntervalMs: 5_000, localFirst: true, init: {} });
    expect(resolveBusOptions({ servers: "a", init: false }).init).toBeUndefined();
  });

  it.each([
    [{ servers: [] }, "natsBus.servers"],
    [{ servers: "http://a" }, "natsBus.servers"],
    [{ servers: "nats://" }, "natsBus.servers"],
    [{ servers: "a", user: "ann" }, "natsBus.pass"],
    [{ servers: "a", user: "ann", pass: "x", token: "t" }, "user and token"],
    [{ servers: "a", inboxPrefix: "_INBOX.>" }, "natsBus.inboxPrefix"],
    [{ servers: "a", pingIntervalMs: 0 }, "natsBus.pingIntervalMs"],
    [{ servers: "a", init: { replicas: 2 } }, "natsBus.init"],
    [{ servers: "a", tenant: "log" }, "tenant"],
    [{ servers: "a", server: "b" }, "server"],
  ])("refuses %j, naming %s", (options, named) => {
    expect(() => natsBus(options as never)).toThrow(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(named) }),
    );
  });

  it("shows no password in what it says", () => {
    expect(() => natsBus({ servers: "http://ann:secret@a" })).toThrow(/^(?!.*secret)/);
  });
});
