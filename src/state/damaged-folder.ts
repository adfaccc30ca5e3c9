// A folder that is not opened: going on in it would throw away what cannot be read, and with it what it was.

import { join } from "node:path";
import { OrchestraError } from "../base/errors.ts";
import { asFolderDamage, messageOf, type FileDamage, type FolderDamage } from "./file-damage.ts";

const SESSIONS_NAMED = 5;

export function damagedFolder(folder: string, damage: FileDamage, otherRemedy?: string): OrchestraError {
  const known = asFolderDamage(damage);
  const { file, offset, losesData, sessions } = known;
  const ownRemedy = losesData
    ? `"orchestra verify" says what is lost, "orchestra repair --copy" saves the rest`
    : `Nothing is lost by it: "orchestra repair --copy" makes a good copy`;
  return new OrchestraError(
    "ORCH_STORE_CORRUPT",
    `store ${folder}: ${messageOf(known)}${losesData ? whatStoodThere(known) : ""}. ${otherRemedy ?? ownRemedy}`,
    { details: { path: join(folder, file), ...(offset === null ? {} : { offset }), sessions } },
  );
}

/** As far as it can be told from the one file; what other files make of it, `verifyFolder` says. */
function whatStoodThere({ sessions, between }: FolderDamage): string {
  const named = sessions.slice(0, SESSIONS_NAMED).join(", ");
  const others = sessions.length > SESSIONS_NAMED ? ` and ${sessions.length - SESSIONS_NAMED} more` : "";
  const parts = [
    ...(sessions.length === 0
      ? []
      : [`with records of ${sessions.length === 1 ? "session" : "sessions"} ${named}${others}`]),
    ...(between === undefined
      ? []
      : [`between the keys ${JSON.stringify(between[0])} and ${JSON.stringify(between[1])}`]),
  ];
  return parts.length === 0 ? "" : `, ${parts.join(", ")}`;
}
