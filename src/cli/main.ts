#!/usr/bin/env node
import { processIo } from "./io.ts";
import { runCli } from "./program.ts";

// Who reads has seen enough (`| head`): nothing more is owed, and it is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
process.stderr.on("error", () => undefined);

// The code is set rather than the process ended, so that what was written is flushed.
process.exitCode = await runCli(process.argv.slice(2), processIo());
