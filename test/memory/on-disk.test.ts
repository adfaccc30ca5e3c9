// What a memory in a folder survives, and what is left of what it was told to forget.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { repairFolder, verifyFolder } from "orchestra";
import { createMemory } from "orchestra/memory";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { isOnDisk } from "./files-of.ts";

const CHILD = new URL("./seed-until-killed.ts", import.meta.url).pathname;

describe("a memory in a folder", () => {
  it("has every entry it acknowledged before the process was killed, and each whole", async () => {
    const folder = await temporaryFolder();
    const child = spawn(process.execPath, ["--import", "jiti/register", CHILD, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let acknowledged = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged >= 20) break;
    }
    child.kill("SIGKILL");
    await once(child, "exit");

    await using memory = createMemory({ folder });
    const found = await memory.searchMemory("entry", { runId: "r1" }, 10_000);
    expect(found.length).toBeGreaterThanOrEqual(acknowledged * 3);
    // All or none of each call.
    expect(found.length % 3).toBe(0);
    expect((await memory.stats()).entries).toBe(found.length);
    // The run that begins again seeds again: nothing is there twice.
    await memory.seedMemory(
      "r1",
      [0, 1, 2].map((i) => ({ value: `entry ${i} of call 1` })),
    );
    expect((await memory.stats()).entries).toBe(found.length);
  });

  // LevelDB keeps a value beside its deletion when both are in its log: written just now, or long ago, it must be gone.
  it.each(["before it was written out", "after it was written out"])(
    "leaves nothing on disk of what is deleted %s",
    async (when) => {
      const folder = await temporaryFolder();
      const [secret, kept] = [randomBytes(600).toString("hex"), randomBytes(600).toString("hex")];
      let memory = createMemory({ folder });
      await memory.add([{ value: "earlier" }], { scope: "global" });
      const [entry] = await memory.add([{ key: "secret", value: secret, text: "the secret" }], { scope: "global" });
      await memory.add([{ value: kept, text: "what stays" }], { scope: "global" });
      if (when.startsWith("after")) {
        for (let i = 0; i < 2; i++) {
          await memory.close();
          memory = createMemory({ folder });
          await memory.add([{ value: randomBytes(50_000).toString("hex"), text: "filler" }], { scope: "global" });
        }
      }
      expect(isOnDisk(folder, secret)).toBe(true);
      expect(await memory.delete([entry?.id as string])).toBe(1);
      expect(isOnDisk(folder, secret)).toBe(false);
      expect(isOnDisk(folder, kept)).toBe(true);
      const left = await memory.searchMemory("the secret", "global", 10);
      expect(left.map(({ value }) => value)).toContain(kept);
      expect(left.map(({ value }) => value)).not.toContain(secret);
      await memory.close();
    },
  );

  it("says which record was changed on disk, and takes nothing of it for good", async () => {
    const folder = await temporaryFolder();
    const text = randomBytes(2_000).toString("hex");
    {
      await using memory = createMemory({ folder });
      await memory.add([{ value: text }], { scope: "global" });
    }
    const entries = join(folder, "entries");
    const damaged = readdirSync(entries).some((name) => {
      const bytes = readFileSync(join(entries, name));
      const at = bytes.indexOf(text.slice(1000, 1040));
      if (at < 0) return false;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(join(entries, name), bytes);
      return true;
    });
    expect(damaged).toBe(true);
    await using memory = createMemory({ folder });
    await expect(memory.searchMemory("x", "global")).rejects.toMatchObject({
      code: "ORCH_STORE_CORRUPT",
      message: expect.not.stringContaining("orchestra repair") as string,
    });
    // What mends stores of sessions would find nothing worth saving in it.
    const mended = join(await temporaryFolder(), "mended");
    const refused = { code: "ORCH_STORE_FAILED", message: expect.stringContaining("it holds a memory") as string };
    await expect(verifyFolder(entries)).rejects.toMatchObject(refused);
    await expect(repairFolder(entries, mended)).rejects.toMatchObject(refused);
    expect(existsSync(mended)).toBe(false);
  });

  it("makes nothing before it is used", async () => {
    const folder = join(await temporaryFolder(), "memory");
    const memory = createMemory({ folder });
    await memory.close();
    expect(existsSync(folder)).toBe(false);
  });
});
