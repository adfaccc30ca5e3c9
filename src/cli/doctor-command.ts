// `doctor`: says whether this machine and a store are fit for a run, and how to mend what is not.

import {
  diskFree,
  fsyncCost,
  levelDb,
  hnswlib,
  nodeVersion,
  storeState,
  versions,
  type Finding,
} from "./doctor-checks.ts";
import { EXIT } from "./exit-code.ts";
import type { Io, Screen } from "./io.ts";
import { json } from "./json.ts";
import { storeFolder, type StoreFlags } from "./session-options.ts";
import { paint } from "./style.ts";

export async function doctorCommand(flags: StoreFlags & { readonly json?: boolean }, io: Io): Promise<number> {
  const folder = storeFolder(flags, io);
  const place = folder ?? io.cwd;
  const findings = [
    nodeVersion(),
    versions(),
    await levelDb(),
    hnswlib(),
    await diskFree(place),
    await fsyncCost(place),
    ...(folder === undefined ? [] : [await storeState(folder)]),
  ];
  const ok = findings.every(({ verdict }) => verdict !== "wrong");
  if (flags.json) io.out(json({ ok, findings }));
  else io.out(findings.map((finding) => lineOf(finding, io.stdout)).join("\n"));
  return ok ? EXIT.ok : EXIT.failed;
}

const MARKS = { ok: ["✓", "green"], note: ["·", "dim"], wrong: ["✗", "red"] } as const;

function lineOf({ name, verdict, found, cure }: Finding, screen: Screen): string {
  const [mark, colour] = MARKS[verdict];
  const line = `${paint(screen, colour, mark)} ${name.padEnd(16)} ${found}`;
  return cure === undefined ? line : `${line}\n  ${"".padEnd(16)} → ${cure}`;
}
