// `orchestra nats` on a real server.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processIo } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { temporaryFolder } from "../support/leftovers.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

async function run(args: readonly string[], env: Record<string, string> = {}, stdin?: Readable) {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    ...processIo(),
    stdout: { isTTY: false, colours: false, columns: 80 },
    env,
    stdin: Object.assign(stdin ?? Readable.from([]), { isTTY: stdin !== undefined }),
    out: (text) => void (out += `${text}\n`),
    err: (text) => void (err += `${text}\n`),
    errRaw: (text) => void (err += text),
  });
  return { code, out, err };
}

describe("orchestra nats", () => {
  it("asks which server, when none is named", async () => {
    expect(await run(["nats", "check"])).toMatchObject({ code: 2, err: expect.stringContaining("ORCHESTRA_NATS") });
  });

  it("says what is missing, makes it, and finds it good", async () => {
    const env = { ORCHESTRA_NATS: server.url, ORCHESTRA_NATS_TENANT: "acme" };
    const before = await run(["nats", "check"], env);
    expect(before.code).toBe(1);
    expect(before.out).toContain("ORCH_LOG_acme is missing");
    const made = await run(["nats", "init", "--storage", "memory"], env);
    expect([made.code, made.out.trim().split("\n").length]).toEqual([0, 11]);
    expect(made.out).toMatch(/^created {2}ORCH_LOG_acme$/m);
    const after = await run(["nats", "check", "--json"], env);
    expect([after.code, JSON.parse(after.out)]).toEqual([0, expect.objectContaining({ ok: true, warnings: [] })]);
    const again = await run(["nats", "init"], env);
    expect(again.out).not.toMatch(/created|updated/);
  });

  it("makes the consumers of agents, named or in a file, and leaves those that are there", async () => {
    const env = { ORCHESTRA_NATS: server.url, ORCHESTRA_NATS_TENANT: "staff" };
    const named = await run(["nats", "init", "--agents", "Writer"], env);
    expect([named.code, named.out]).toEqual([0, expect.stringMatching(/^created {2}ORCH_WORK_staff\/agent_Writer$/m)]);
    const file = join(temporaryFolder("agents"), "agents.mjs");
    writeFileSync(file, "export const Writer = () => 1;\nexport const Editor = () => 2;\n");
    const again = await run(["nats", "init", "--agents", file], env);
    expect(again.out).toMatch(/^kept {5}ORCH_WORK_staff\/agent_Writer$/m);
    expect(again.out).toMatch(/^created {2}ORCH_WORK_staff\/agent_Editor$/m);
  });

  it("finds too few copies, when told how many are expected", async () => {
    await run(["nats", "init", "--servers", server.url]);
    const checked = await run(["nats", "check", "--servers", server.url, "--replicas", "3"]);
    expect(checked).toMatchObject({ code: 1, out: expect.stringContaining("ORCH_LOG: num_replicas is 1, expected 3") });
  });

  it("removes what belongs to one tenant after being asked, and nothing else", async () => {
    const acme = { ORCHESTRA_NATS: server.url, ORCHESTRA_NATS_TENANT: "acme" };
    await run(["nats", "init"], acme);
    await run(["nats", "init", "--servers", server.url]);
    expect(await run(["nats", "purge"], acme)).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    expect(await run(["nats", "purge"], acme, Readable.from(["no\n"]))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/11 streams and buckets of acme[^]*nothing was removed/),
    });
    expect((await run(["nats", "check"], acme)).code).toBe(0);
    const purged = await run(["nats", "purge"], acme, Readable.from(["purge\n"]));
    expect([purged.code, purged.out.match(/removed/g)?.length]).toEqual([0, 11]);
    expect((await run(["nats", "check"], acme)).code).toBe(1);
    expect((await run(["nats", "check", "--servers", server.url])).code).toBe(0);
    expect((await run(["nats", "purge", "--yes", "--json"], acme)).out.trim()).toBe("[]");
  });

  it("ends with the code of the bus when nobody answers, without a password in what it says", async () => {
    const ended = await run(["nats", "check", "--servers", "nats://ann:s3cret@127.0.0.1:1"]);
    expect(ended).toMatchObject({ code: 4, err: expect.stringContaining("ORCH_BUS_UNREACHABLE") });
    expect(ended.err).not.toContain("s3cret");
  });
});
