import { describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../state/temporary-folder.ts";
import { onSmallDisk } from "./small-disk.ts";

// Several processes, one after another.
vi.setConfig({ testTimeout: 120_000 });

const full = {
  code: "ORCH_STORE_FAILED",
  message: expect.stringMatching(/store .*state: .*(no space|ENOSPC)/i) as unknown,
};

describe.each(["disk", "process"])("a full disk, with durability %s", (durability) => {
  it.each([
    ["all at once", "fills"],
    ["by what the store writes", "grows"],
  ])(
    "%s: fails the run with a code, keeps the process and all that was accepted, goes on with room",
    async (_, how) => {
      const said = await onSmallDisk(await temporaryFolder(), 6, `child "${how} ${durability}"`);
      const { done, good, error, after, ok } = said[`${how} ${durability}`] as Record<string, unknown>;
      expect(error).toMatchObject(full);
      if (how === "grows") expect(done).toBeGreaterThan(50);
      expect(good).toBe(done);
      expect({ after, ok }).toEqual({ after: "done", ok: true });
    },
  );

  it("loses nothing accepted when the process is killed meanwhile, nor by being opened while there is no room", async () => {
    const script = `
      child "dies ${durability}" || true
      child opens
      rm "$DISK/ballast"
      child looks
      child "takes up ${durability}"`;
    const said = await onSmallDisk(await temporaryFolder(), 6, script);
    const { done, error } = said[`dies ${durability}`] as { done: number; error: object };
    expect(error).toMatchObject(full);
    expect(said["opens"]).toMatchObject({ error: full });
    expect(said["looks"]).toMatchObject({ ok: true });
    const { ok, after, good } = said[`takes up ${durability}`] as { ok: boolean; after: string; good: number };
    expect({ ok, after }).toEqual({ ok: true, after: "done" });
    expect(good).toBeGreaterThanOrEqual(done);
  });
});

describe("a read-only folder", () => {
  it("is refused with the reason, can be verified, and is good as before once it is writable", async () => {
    const script = `
      child "takes up"
      mount -o remount,ro "$DISK"
      child opens
      child looks
      mount -o remount,rw "$DISK"
      child "takes up again"`;
    const said = await onSmallDisk(await temporaryFolder(), 6, script);
    expect(said["opens"]).toMatchObject({
      error: { code: "ORCH_STORE_FAILED", message: expect.stringMatching(/state: .*read-only/i) as unknown },
    });
    expect(said["looks"]).toMatchObject({ ok: true, sessions: 1 });
    expect(said["takes up again"]).toMatchObject({ ok: true, good: 1 });
  });
});
