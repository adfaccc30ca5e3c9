import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // XState's development build refuses what cannot be persisted; its production build does not.
    conditions: ["development"],
    alias: [
      { find: /^orchestra\/agents$/, replacement: source("./src/agents/index.ts") },
      { find: /^orchestra\/control$/, replacement: source("./src/control/index.ts") },
      { find: /^orchestra\/memory$/, replacement: source("./src/memory/index.ts") },
      { find: /^orchestra\/nats$/, replacement: source("./src/nats/index.ts") },
      { find: /^orchestra\/orchestrat(or|ion)$/, replacement: source("./src/orchestrator/index.ts") },
      { find: /^orchestra\/telemetry$/, replacement: source("./src/telemetry/index.ts") },
      { find: /^orchestra\/testing$/, replacement: source("./src/testing/index.ts") },
      { find: /^orchestra$/, replacement: source("./src/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/fetch-nats-servers.ts"],
    // One less, as is the default, would be a single one on two processors.
    maxWorkers: availableParallelism(),
    // Against a test that hangs, no measure of how fast one is: all of them hold on a machine that is busy with other work.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 90_000, interval: 20 } },
    typecheck: { enabled: true, include: ["test/types/**/*.test-d.ts"] },
  },
});
