// Seeds three entries at a time and says which call was acknowledged, until it is killed.

import { createMemory } from "../../src/memory/index.ts";

const memory = createMemory({ folder: process.argv[2] as string });
for (let call = 1; ; call++) {
  await memory.seedMemory(
    "r1",
    [0, 1, 2].map((i) => ({ value: `entry ${i} of call ${call}` })),
  );
  console.log(call);
}
