import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findNatsProgram } from "../support/nats-program.ts";

describe("the search for a nats-server program", () => {
  beforeEach(() => void vi.stubEnv("NATS_SERVER", ""));
  afterEach(() => void vi.unstubAllEnvs());

  it("takes the one that NATS_SERVER names, where it is supported", async () => {
    const { path, version } = await findNatsProgram("2.10");
    vi.stubEnv("NATS_SERVER", path);
    expect(await findNatsProgram()).toEqual({ path, version, from: "NATS_SERVER" });
  });

  it("refuses the one that NATS_SERVER names, where it is too old or none", async () => {
    const { path, version } = await findNatsProgram("2.9");
    vi.stubEnv("NATS_SERVER", path);
    await expect(findNatsProgram()).rejects.toThrow(`"${path}", which is ${version}; expected 2.10.27 or newer`);
    vi.stubEnv("NATS_SERVER", process.execPath);
    await expect(findNatsProgram()).rejects.toThrow(`"${process.execPath}", which does not run as a nats-server`);
  });

  it("takes one from PATH, but passes over one that does not fit what is asked for", async () => {
    const { path, version } = await findNatsProgram("2.10");
    vi.stubEnv("PATH", `${dirname(path)}:${process.env["PATH"]}`);
    expect(await findNatsProgram()).toEqual({ path, version, from: "PATH" });
    expect((await findNatsProgram("2.9")).version).toMatch(/^2\.9\./);
  });

  it("says what to install where it cannot be fetched", async () => {
    vi.stubEnv("ORCHESTRA_NATS_CACHE", "/dev/null/no-folder");
    vi.stubEnv("http_proxy", "http://127.0.0.1:9");
    vi.stubEnv("https_proxy", "http://127.0.0.1:9");
    vi.stubEnv("PATH", "/usr/bin:/bin");
    await expect(findNatsProgram("2.9")).rejects.toThrow(/install one \(any 2\.9\) with `go install \S+@v2\.9\.\d+`/);
  });
});
