// Ports of the loopback that nobody takes by chance between one start of a server and the next.

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below what systems hand out for outgoing connections and for `listen(0)` (32768 up on Linux, 49152 up on macOS):
// a port of that range could be gone when a killed server comes back.
const LOWEST = 12_000;
const BEYOND = 32_000;

/** `count` different ports that are free on `127.0.0.1` now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(LOWEST, BEYOND);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
