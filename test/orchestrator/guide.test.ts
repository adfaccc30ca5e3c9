// The programs of docs/guides/orchestrating.md about many hosts, as their reader has them, on a real server.

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

const blocks = blocksOf(readFileSync(join(ROOT, "docs/guides/orchestrating.md"), "utf8"));
const codeOf = (name: string): string => blocks.find((block) => fileOf(block) === name)?.code ?? "";

it("run: one begins a run, another process follows it, and SIGTERM ends the first in order", async () => {
  await using server = await startNats();
  const project = createProject();
  const env = { ORCHESTRA_NATS: server.url };
  writeFileSync(join(project.folder, "runner.mjs"), codeOf("runner.mjs"));
  const runner = spawn(process.execPath, ["runner.mjs", "otters", "say it"], {
    cwd: project.folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    expect(String((await once(runner.stdout, "data"))[0])).toBe("serving\n");
    // The reader types the name of the run.
    const look = codeOf("look.mjs").replaceAll("process.argv[2]", '"otters"');
    let looked = await project.run(look, { name: "look.mjs", env });
    // It may look before the run is recorded.
    while (looked.stderr.includes("ORCH_SESSION_UNKNOWN")) looked = await project.run(look, { name: "look.mjs", env });
    expect(looked).toMatchObject({ exitCode: 0, stderr: "" });
    expect(looked.stdout).toMatch(/^run\.started\n(.+\n)+run\.terminal\nconverged: say it!!!\n$/);
    const ended = once(runner, "exit");
    runner.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    runner.kill("SIGKILL");
    project.remove();
  }
});
