import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { CallDeadlines } from "../../../src/agents/remote/deadlines.ts";
import { EndpointGuard } from "../../../src/agents/remote/endpoint-guard.ts";
import { guardedFetch } from "../../../src/agents/remote/guarded-fetch.ts";
import { DEFAULT_REMOTE_LIMITS } from "../../../src/agents/remote/remote-limits.ts";
import { bodyOf, httpServer, LOOPBACK } from "./servers.ts";

function fetchOf(origin: string, limits = {}): typeof fetch {
  const clock = systemClock();
  const { signal } = new AbortController();
  return guardedFetch({
    guard: new EndpointGuard(LOOPBACK),
    deadlines: new CallDeadlines({ clock, timeoutMs: false, idleTimeoutMs: false, signal, to: origin }),
    clock,
    headers: { authorization: "Bearer s3cret" },
    origin,
    limits: { ...DEFAULT_REMOTE_LIMITS, ...limits },
  });
}

/** Answers with what it was sent. */
const echo = () =>
  httpServer((request, response) => {
    const { method, headers } = request;
    void bodyOf(request).then((body) => response.end(JSON.stringify({ method, headers, body })));
  });

describe("the fetch that the SDK is given", () => {
  it("takes a request as it takes an address with options", async () => {
    const url = await echo();
    const init = { method: "PUT", headers: { "x-own": "1" }, body: '{"a":"über"}' };
    const sent = { method: "PUT", headers: { "x-own": "1", authorization: "Bearer s3cret" }, body: { a: "über" } };
    const answer = async (...args: Parameters<typeof fetch>) => (await fetchOf(url)(...args)).json();
    expect(await answer(url, init)).toMatchObject(sent);
    expect(await answer(new Request(url, init))).toMatchObject(sent);
    expect(await answer(new Request(url, init), { body: "{}" })).toMatchObject({ ...sent, body: {} });
  });

  it("sends nothing above the bound, and nothing once the request was given up", async () => {
    const url = await echo();
    const request = (signal?: AbortSignal) =>
      new Request(url, { method: "POST", body: "12345", ...(signal !== undefined && { signal }) });
    await expect(fetchOf(url, { requestBytesMax: 4 })(request())).rejects.toMatchObject({
      code: "ORCH_PAYLOAD_TOO_LARGE",
    });
    const reason = new Error("not wanted any more");
    await expect(fetchOf(url)(request(AbortSignal.abort(reason)))).rejects.toBe(reason);
  });
});
