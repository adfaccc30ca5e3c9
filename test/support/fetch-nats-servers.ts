// Before any test: the servers that tests will ask for at the same time, fetched once. What cannot be had fails the tests that need it, with the reason.

import { findNatsProgram, NATS_VERSIONS } from "./nats-program.ts";

export async function setup(): Promise<void> {
  const found = await Promise.allSettled(NATS_VERSIONS.map((version) => findNatsProgram(version)));
  for (const result of found) {
    if (result.status === "fulfilled" && result.value.from === "Debian") {
      console.log(`fetched nats-server ${result.value.version} from Debian into ${result.value.path}`);
    }
  }
}
