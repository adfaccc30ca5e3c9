// A process of its own: appends to three sessions for ever and prints what was acknowledged. `hold` only opens.
import { writeSync } from "node:fs";
import { LevelStorage } from "../../src/state/level-store.ts";

const [folder = "", mode = ""] = process.argv.slice(2);
const store = new LevelStorage(folder, { durability: mode === "disk" ? "disk" : "process" });
await store.open();
writeSync(1, "open\n");
if (mode === "hold") setInterval(() => undefined, 1000);
else {
  const loop = async (sessionId: string): Promise<void> => {
    for (let n = 1; ; n++) {
      await store.append({
        sessionId,
        expected: n - 1,
        commit: {
          v: 1,
          n,
          epoch: 1,
          id: `${sessionId}-${n}`,
          host: "child",
          atMs: n,
          facts: [{ type: "timer.fired", timerId: "x".repeat(n % 7 === 3 ? 10_000 : n % 500) }],
        },
      });
      print(`${sessionId} ${n}\n`);
    }
  };
  await Promise.all(["a", "b", "c"].map(loop));
}

// The pipe may be full: the reader is slower than the store.
function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
