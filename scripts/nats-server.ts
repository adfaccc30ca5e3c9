// Finds or fetches the nats-server programs the tests run, and says which: `npm run nats-server [-- 2.15 2.10 2.9]`.

import { findNatsProgram, NATS_VERSIONS, type NatsVersion } from "../test/support/nats-program.ts";

const asked = process.argv.slice(2);
const unknown = asked.find((version) => !NATS_VERSIONS.some((known) => known === version));
if (unknown !== undefined) {
  console.error(`unknown version "${unknown}"; expected ${NATS_VERSIONS.join(", ")}`);
  process.exit(2);
}
const wanted = asked.length === 0 ? NATS_VERSIONS : (asked as NatsVersion[]);

for (const version of wanted) {
  try {
    const program = await findNatsProgram(version);
    console.log(`nats-server ${program.version} (${program.from}): ${program.path}`);
  } catch (error) {
    console.error(describe(error));
    process.exitCode = 1;
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n${describe(error.cause)}`;
}
