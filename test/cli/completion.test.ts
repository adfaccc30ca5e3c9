// Completion: the script as a shell uses it.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { MAIN, place } from "./command-line.ts";
import { open } from "./terminal.ts";

const at = place();

async function script(shell: string): Promise<string> {
  const { code, out } = await at.call(["completion", shell]);
  expect(code).toBe(0);
  writeFileSync(join(at.folder, `orchestra.${shell}`), out);
  return out;
}

/** What bash offers for the last word of the line. */
function offered(line: string): string[] {
  const words = line.split(" ");
  const program = `
    source ./orchestra.bash
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1}
    _orchestra
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync("bash", ["--norc", "-c", program], { cwd: at.folder, encoding: "utf8" });
  expect({ status, stderr: stderr.replace(/.*compopt.*\n/g, "") }).toEqual({ status: 0, stderr: "" });
  return stdout.split("\n").filter((word) => word !== "");
}

describe("a reader that has seen enough", () => {
  it("ends the command without a word", () => {
    const { status, stderr } = spawnSync(
      "bash",
      [
        "--norc",
        "-c",
        'set -o pipefail; for i in 1 2 3; do "$0" "$1" completion bash | true; done',
        process.execPath,
        MAIN,
      ],
      { cwd: at.folder, encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

describe("completion in bash", () => {
  it("offers commands, options, choices, files and folders, each in its place", async () => {
    await script("bash");
    at.file("team.ts", "");
    mkdirSync(join(at.folder, "state"));
    expect(offered("orchestra res")).toEqual(["resume", "restore"]);
    expect(offered("orchestra sessions --st")).toEqual(["--store", "--status"]);
    expect(offered("orchestra sessions --status a")).toEqual(["awaiting_user"]);
    expect(offered("orchestra run te")).toEqual(["team.ts"]);
    expect(offered("orchestra run team.ts --store ")).toEqual(["state"]);
    expect(offered("orchestra run team.ts --task ")).toEqual([]);
    expect(offered("orchestra resume otters --file t")).toEqual(["team.ts"]);
    expect(offered("orchestra completion z")).toEqual(["zsh"]);
    expect(offered("orchestra help do")).toEqual(["doctor"]);
  });

  it("offers commands within commands, and what these take", async () => {
    await script("bash");
    at.file("team.ts", "");
    mkdirSync(join(at.folder, "memory"));
    expect(offered("orchestra orchestrate s")).toEqual(["start", "status"]);
    expect(offered("orchestra orchestrate start te")).toEqual(["team.ts"]);
    expect(offered("orchestra orchestrate start --strategy se")).toEqual(["sequential"]);
    expect(offered("orchestra orchestrate memory s")).toEqual(["search", "stats", "seed"]);
    expect(offered("orchestra orchestrate memory search --mo")).toEqual(["--mode"]);
    expect(offered("orchestra orchestrate memory search x --mode w")).toEqual(["words"]);
    expect(offered("orchestra orchestrate memory list --memory ")).toEqual(["memory"]);
    expect(offered("orchestra orchestrate memory list --to")).toEqual([]);
  });

  it("completes at a key press", async () => {
    await script("bash");
    const shell = open("bash", ["--norc", "-i"], {
      cwd: at.folder,
      env: { PS1: "$ ", BASH_SILENCE_DEPRECATION_WARNING: "1" },
    });
    try {
      await shell.shows("$");
      shell.type('orchestra() { echo "ran: $*"; }; source ./orchestra.bash\r');
      shell.type("orchestra sess\t--stat\tint\t\r");
      await shell.shows("ran: sessions --status interrupted");
    } finally {
      shell.kill();
    }
  });
});

it.each(["zsh", "fish"])("makes a script for %s with every command and option", async (shell) => {
  const text = await script(shell);
  const { out: help } = await at.call(["--help"]);
  const commands = [...help.matchAll(/^ {2}([a-z-]+) /gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "orchestra");
  expect(commands).toContain("doctor");
  for (const command of commands) expect(text).toContain(shell === "zsh" ? `    ${command})` : `-a ${command} `);
  expect(text).toContain("interrupted pausing paused awaiting_user");
  // Where the shell is installed it reads the script itself.
  const read = spawnSync(shell, ["-n", `orchestra.${shell}`], { cwd: at.folder, encoding: "utf8" });
  if (read.error === undefined) expect(read).toMatchObject({ status: 0, stderr: "" });
});

it("refuses a shell it does not know", async () => {
  expect(await at.call(["completion", "csh"])).toMatchObject({
    code: 2,
    err: expect.stringContaining("bash, zsh, fish"),
  });
});
