// A process that is killed while it asks: the time people have goes on, and what follows their silence is taken by the next.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CommunicationManager, LevelStorage, OrchestraInstance, StateManager } from "orchestra";
import { beforeEach, expect, it } from "vitest";

import { teamOf } from "./asking-team.ts";
import { childProgram } from "../../support/child-program.ts";

const CHILD = await childProgram(new URL("./asking-child.ts", import.meta.url));
const SILENT = ["Ann: no", "Deputy: deputy's word"];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-killed-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

/** A process that has asked, and is no more. */
async function killedWhileAsking(timeoutMs: number): Promise<void> {
  const child = spawn(process.execPath, [CHILD, folder, String(timeoutMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

function next(timeoutMs: number) {
  const communicationManager = new CommunicationManager();
  const stateManager = new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) });
  const orchestra = new OrchestraInstance({ ...teamOf(timeoutMs), stateManager, communicationManager });
  return { orchestra, communicationManager };
}

it("takes the outcomes of the time-out when the next process starts after the time was over", async () => {
  await killedWhileAsking(3_000);
  await sleep(3_050);
  const { orchestra } = next(3_000);
  const [recovered, ...others] = await orchestra.recover();
  expect(others).toEqual([]);
  expect((await recovered!.result)?.orThrow().finalResponse).toEqual(SILENT);
  expect((await orchestra.resumeSession("s")).finalResponse).toEqual(SILENT);
  await orchestra.close();
});

it("goes on asking for the time that is left when the next process starts before", async () => {
  await killedWhileAsking(3_600_000);
  const { orchestra, communicationManager } = next(3_600_000);
  const [ann, bob] = await communicationManager.pending({ sessionId: "s" });
  expect(bob!.dueAtMs! - bob!.askedAtMs).toBe(3_600_000);
  await communicationManager.submitResponse(bob!.questionId, "go");
  await communicationManager.submitResponse(ann!.questionId, "yes");
  expect((await orchestra.resumeSession("s")).orThrow().finalResponse).toEqual(["Ann: yes", "Bob: go"]);
  await orchestra.close();
});
