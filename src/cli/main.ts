#!/usr/bin/env node
import { processIo } from "./io.ts";
import { runCli } from "./program.ts";

// The code is set rather than the process ended, so that what was written is flushed.
process.exitCode = await runCli(process.argv.slice(2), processIo());
