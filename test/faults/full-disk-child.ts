// A process of its own on a small disk. Says as one line of JSON what happened in its phase.
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isOrchestraError } from "../../src/base/errors.ts";
import { verifyFolder } from "../../src/state/folder-verify.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { code, request, topology, world } from "../runtime/world.ts";

const [disk = "", phase = ""] = process.argv.slice(2);
const folder = join(disk, "state");
const ballast = join(disk, "ballast");
const agents = code({ A: (x) => `${x}a`.padEnd(2_000, "."), B: () => "done" });
const store = new LevelStorage(folder, { durability: phase.endsWith("process") ? "process" : "disk" });
const { engine } = world({ store });

const say = (said: object): void => void writeSync(1, `${JSON.stringify({ phase, ...said })}\n`);
const failure = (error: unknown): object => {
  if (!isOrchestraError(error)) throw error;
  return { code: error.code, message: error.message, reason: error.details["reason"] ?? null };
};
const runOne = async (sessionId: string): Promise<unknown> => {
  const handle = await engine.start(request(sessionId, topology("A -> B"), agents, { sessionId }));
  return (await handle.outcome).finalResponse;
};

/** Sessions until one fails; how many ended well, and how the other failed. */
async function runUntilFailure(prefix: string): Promise<{ done: number; error: object }> {
  for (let done = 0; done < 2_000; done++) {
    try {
      await runOne(`${prefix}${done}`);
    } catch (error) {
      return { done, error: failure(error) };
    }
  }
  throw new Error("the disk never became full");
}

/** The results that can be read of sessions that ended well. */
async function resultsOf(prefix: string, done: number): Promise<number> {
  let good = 0;
  for (let i = 0; i < done; i++) if ((await engine.outcome(`${prefix}${i}`)).finalResponse === "done") good++;
  return good;
}

function fillDisk(): void {
  const file = openSync(ballast, "w");
  for (let size = 65_536; size >= 1;) {
    try {
      if (writeSync(file, Buffer.alloc(size)) < size) size >>= 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      size >>= 1;
    }
  }
  closeSync(file);
}

if (phase.startsWith("fills") || phase.startsWith("grows")) {
  await runOne("before");
  // It is either full at once, or the store itself fills what is left, in the middle of whatever it does then.
  if (phase.startsWith("fills")) fillDisk();
  else writeFileSync(ballast, Buffer.alloc(3 * 1024 * 1024));
  const { done, error } = await runUntilFailure("s");
  rmSync(ballast);
  // The process lives, and goes on where there is room again: the session that failed, too.
  const after = await runOne("after");
  const recovered = await engine.recover({ code: () => agents });
  const ends = await Promise.all(recovered.map(async ({ handle }) => (await handle?.outcome)?.finalResponse));
  const good = await resultsOf("s", done);
  const { ok } = await store.verify();
  await engine.close();
  await store.close();
  say({ done, good, error, after, ends, ok });
} else if (phase.startsWith("dies")) {
  await runOne("first");
  fillDisk();
  const { done, error } = await runUntilFailure("d");
  say({ done, error });
  process.kill(process.pid, "SIGKILL");
} else if (phase === "opens") {
  say({ error: await store.open().then(() => null, failure) });
  await store.close();
} else if (phase === "looks") {
  const { ok, sessions } = await verifyFolder(folder);
  say({ ok, sessions });
} else if (phase.startsWith("takes up")) {
  await engine.recover({ code: () => agents });
  const sessions = await engine.listSessions({ limit: 5_000 });
  const outcomes = await Promise.all(sessions.map(({ sessionId }) => engine.outcome(sessionId)));
  const { ok } = await store.verify();
  say({
    ok,
    after: await runOne(phase.replaceAll(" ", "-")),
    good: outcomes.filter((one) => one.finalResponse === "done").length,
  });
  await engine.close();
  await store.close();
}
