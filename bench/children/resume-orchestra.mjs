// node resume-orchestra.mjs prepare|open|resume <folder> <steps>: `prepare` leaves a session paused after `steps` steps;
// `resume`, a process later, opens the folder and goes on to the end, which is one step away.

import { Edge, LevelStorage, OrchestraInstance, StateManager } from "orchestra";

const [mode, folder, steps] = process.argv.slice(2);
const last = Number(steps);
const SESSION = "resumed";
/** @type {Promise<boolean> | undefined} */
let paused;

const instance = new OrchestraInstance({
  topology: {
    nodes: ["Work"],
    edges: [Edge("Work", "Work", { metadata: { condition: "again" } })],
    entryPoint: "Work",
    exitPoints: ["Work"],
  },
  conditions: { again: ({ output }) => output.count <= last },
  agents: {
    async Work({ count }) {
      if (mode === "prepare" && count === last - 1) paused = instance.pauseSession(SESSION);
      return { count: count + 1 };
    },
  },
  stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) }),
});

async function settle() {
  if (mode === "prepare") return instance.execute({ task: { count: 0 }, sessionId: SESSION, maxSteps: last + 10 });
  return instance.resumeSession(SESSION);
}

const started = performance.now();
const result = await settle();
await paused;
const ms = performance.now() - started;
await instance.close();
const expected = mode === "prepare" ? "paused" : "completed";
if (result.status !== expected)
  throw new Error(`the session is ${result.status}, expected ${expected}`, { cause: result.error });
if (mode === "resume" && result.totalSteps !== last + 1)
  throw new Error(`${result.totalSteps} steps, expected ${last + 1}`);
console.log(JSON.stringify({ ms }));
