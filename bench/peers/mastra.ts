// Mastra, where the engine is one that it runs on; bench/start.mjs installs it only there.

import { PeerMissing, type Contender, type Prepared, type Shape } from "../contender.ts";

const NODE_MIN = [22, 13];

function assertEngine(): void {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = NODE_MIN;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new PeerMissing(`Mastra needs Node.js ${NODE_MIN.join(".")}, this is ${process.version}`);
}

async function prepare(shape: Shape, folder: string | undefined): Promise<Prepared> {
  assertEngine();
  // Not a literal: where Mastra is not installed the file has nothing to be checked against.
  const { prepareWorkflow } = (await import(new URL("mastra/workflow.ts", import.meta.url).href)) as {
    prepareWorkflow: (shape: Shape, folder: string | undefined) => Promise<Prepared>;
  };
  return prepareWorkflow(shape, folder);
}

export const mastraContenders: readonly Contender[] = [
  {
    id: "mastra",
    name: "Mastra, no storage",
    keeps: "nothing",
    prepare: (shape) => prepare(shape, undefined),
  },
  {
    id: "mastra-libsql",
    name: "Mastra, LibSQLStore on a file",
    keeps: "every step, past kill -9",
    prepare,
  },
];
