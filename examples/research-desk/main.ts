// npm start: the research desk.

import { crashDemo } from "./crash.ts";
import { HELP, parseOptions, type DeskOptions } from "./options.ts";
import { runDesk } from "./run-desk.ts";

async function main(): Promise<number> {
  let options: DeskOptions;
  try {
    options = parseOptions(process.argv.slice(2), process.cwd());
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  try {
    return await (options.crash ? crashDemo(options) : runDesk(options));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exitCode = await main();
