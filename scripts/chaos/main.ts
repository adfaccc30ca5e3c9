// What is started as a process of the storm: `node <program> <options as JSON>`.

import { live, type ChildOptions } from "./child.ts";

await live(JSON.parse(process.argv[2] ?? "{}") as ChildOptions);
