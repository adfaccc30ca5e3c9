// The programs of docs/guides/cluster.md, as their reader has them, on a real server.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { blocksOf } from "../docs/markdown.ts";
import { fileOf } from "../docs/story.ts";
import { createProject, ensureBuilt, ROOT } from "../package/project.ts";
import { startNats } from "../support/nats.ts";

beforeAll(ensureBuilt);

const blocks = blocksOf(readFileSync(join(ROOT, "docs/guides/cluster.md"), "utf8"));
const codeOf = (name: string): string => blocks.find((block) => fileOf(block) === name)?.code ?? "";

it("run: a host serves, a program without agents asks, and SIGTERM ends the host in order", async () => {
  await using server = await startNats();
  const project = createProject();
  const env = { ORCHESTRA_NATS: server.url };
  writeFileSync(join(project.folder, "host.mjs"), codeOf("host.mjs"));
  const host = spawn(process.execPath, ["host.mjs"], {
    cwd: project.folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    expect(String((await once(host.stdout, "data"))[0])).toBe("serving\n");
    const asked = await project.run(codeOf("ask.mjs"), { name: "ask.mjs", env });
    expect(asked).toEqual({ exitCode: 0, stdout: "all about otters\n", stderr: "" });
    const ended = once(host, "exit");
    host.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    host.kill("SIGKILL");
    project.remove();
  }
});
