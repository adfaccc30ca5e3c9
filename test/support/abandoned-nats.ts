// A process that starts a server and never stops it: for the test that kills it.

import { startNats } from "./nats.ts";

const { pid, folder } = await startNats();
process.stdout.write(`${JSON.stringify({ pid, folder })}\n`);
setInterval(() => undefined, 60_000);
