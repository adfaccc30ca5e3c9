import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { remoteAgent } from "../../../src/agents/index.ts";
import { EndpointGuard } from "../../../src/agents/remote/endpoint-guard.ts";
import { call, DONE, httpServer, streaming } from "./servers.ts";

const address = (of: string) => ({ address: of, family: of.includes(":") ? 6 : 4 });
const resolveTo = (...addresses: string[]) => ({ resolve: () => Promise.resolve(addresses.map(address)) });

function lookUp(guard: EndpointGuard, name = "agents.example"): Promise<readonly string[]> {
  return new Promise((resolve, reject) =>
    guard.lookup(name, { all: true }, (error, found) =>
      error === null ? resolve((found as { address: string }[]).map((one) => one.address)) : reject(error),
    ),
  );
}

const REFUSED = [
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["::1", "loopback"],
  ["::ffff:127.0.0.1", "loopback"],
  ["::ffff:a00:1", "private"],
  ["10.1.2.3", "private"],
  ["172.16.0.1", "private"],
  ["192.168.1.1", "private"],
  ["fd00:ec2::254", "private"],
  ["169.254.169.254", "link-local"],
  ["fe80::1", "link-local"],
  ["100.100.100.200", "provider"],
  ["168.63.129.16", "provider"],
  ["0.0.0.0", "no address"],
  ["::", "no address"],
  ["::127.0.0.1", "no address"],
  ["224.0.0.1", "no address"],
  ["255.255.255.255", "no address"],
  ["64:ff9b::7f00:1", "reserved"],
  ["2002:7f00:1::", "reserved"],
  ["::ffff:0:127.0.0.1", "reserved"],
] as const;

/** Blocks of IANA's special-purpose registries that are not globally reachable, by their first and last address. */
const REGISTERED = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.0.0.0", "192.0.0.255"],
  ["192.0.2.0", "192.0.2.255"],
  ["192.88.99.0", "192.88.99.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["198.51.100.0", "198.51.100.255"],
  ["203.0.113.0", "203.0.113.255"],
  ["240.0.0.0", "255.255.255.255"],
  ["64:ff9b::", "64:ff9b::ffff:ffff"],
  ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
  ["100::", "100::ffff:ffff:ffff:ffff"],
  ["100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"],
  ["2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
] as const;
/** The addresses of the public internet right before and after some of them. */
const PUBLIC = [
  ...["8.8.8.8", "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.1", "126.255.255.255"],
  ...["172.32.0.1", "172.15.255.255", "192.0.1.0", "192.88.98.255", "198.17.255.255", "198.20.0.0", "223.255.255.255"],
  ...["2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700::1111", "3fff:1000::", "::ffff:8.8.8.8"],
];

describe("the guard of endpoints", () => {
  it.each(REFUSED)("refuses a name that resolves to %s, and says that it is %s", async (found, kind) => {
    const refusal = { code: "ORCH_ENDPOINT_REFUSED", message: expect.stringContaining(kind) };
    await expect(lookUp(new EndpointGuard(resolveTo(found)))).rejects.toMatchObject(refusal);
  });

  it("refuses every block that is registered for a special purpose, to its ends", async () => {
    for (const found of REGISTERED.flat())
      await expect(lookUp(new EndpointGuard(resolveTo(found))), found).rejects.toMatchObject({
        code: "ORCH_ENDPOINT_REFUSED",
      });
  });

  it.each(PUBLIC)("lets %s be called", async (found) =>
    expect(await lookUp(new EndpointGuard(resolveTo(found)))).toEqual([found]),
  );

  it("leaves out the refused addresses of a name that has others", async () => {
    expect(await lookUp(new EndpointGuard(resolveTo("10.0.0.1", "8.8.8.8", "::1")))).toEqual(["8.8.8.8"]);
  });

  it("lets pass what `allow` lists: an address, a block, a name whatever it resolves to", async () => {
    const guard = (...allow: string[]) => new EndpointGuard({ allow, ...resolveTo("10.1.2.3") });
    for (const allow of ["10.1.2.3", "10.1.0.0/16", "Agents.Example"])
      expect(await lookUp(guard(allow), "agents.example.")).toEqual(["10.1.2.3"]);
    for (const allow of ["10.1.2.4", "10.2.0.0/16", "example", "xagents.example"])
      await expect(lookUp(guard(allow))).rejects.toMatchObject({ code: "ORCH_ENDPOINT_REFUSED" });
  });

  it.each(["10.0.0.0/33", "fd00::/129", "10.0.0.0/8/8", "http://x", "", 7])(
    "takes %j for no entry of `allow`",
    (entry) => {
      expect(() => new EndpointGuard({ allow: [entry as string] })).toThrow(
        expect.objectContaining({ code: "ORCH_BAD_OPTION" }),
      );
    },
  );

  it.each([
    "http://127.0.0.1:1",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://[::ffff:127.0.0.1]/",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "ftp://agents.example/",
  ])("refuses the endpoint %s when the agent is made", (endpoint) => {
    expect(() => remoteAgent({ name: "Remote", endpoint })).toThrow(
      expect.objectContaining({ code: "ORCH_ENDPOINT_REFUSED" }),
    );
  });

  it("refuses localhost by what it resolves to", async () => {
    const { port } = new URL(await httpServer(streaming(DONE)));
    const { result } = await call(`http://localhost:${port}`, { allow: [] });
    expect(result.error).toMatchObject({ code: "ORCH_ENDPOINT_REFUSED", data: { host: "localhost" } });
  });

  it("judges the address that is connected to: a name that changes its mind gains nothing", async () => {
    const calls = { allowed: 0, victim: 0 };
    const victim = createServer((_request, response) => void (calls.victim++, response.end()));
    victim.listen(0, "127.0.0.1");
    await once(victim, "listening");
    const { port } = victim.address() as AddressInfo;
    const allowed = createServer((request, response) => {
      calls.allowed++;
      streaming(DONE)(request, response);
    });
    allowed.listen(port, "127.0.0.2");
    await once(allowed, "listening");
    onTestFinished(() => void (victim.close(), allowed.close()));
    // Each look-up gives another address, as a name with a lifetime of 0 can.
    const answers = ["127.0.0.2", "127.0.0.1", "127.0.0.2"];
    let asked = 0;
    const options = {
      allow: ["127.0.0.2"],
      resolve: () => Promise.resolve([address(answers[asked++] ?? "127.0.0.1")]),
    };
    const endpoint = `http://agents.example:${port}`;
    expect((await call(endpoint, options)).result.finalResponse).toBe("fine");
    expect(asked).toBe(1);
    expect((await call(endpoint, options)).result.error).toMatchObject({ code: "ORCH_ENDPOINT_REFUSED" });
    expect((await call(endpoint, options)).result.finalResponse).toBe("fine");
    expect(calls).toEqual({ allowed: 2, victim: 0 });
  });
});
