// `checkpoint`, `restore`, `fork` and `diff`: places in the history of a session.

import type { StepView } from "../control/index.ts";
import { OrchestraError } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import type { StoreFlags } from "./session-options.ts";
import { assertCheckpoint, knownSession, resumeHint, withStore } from "./store-access.ts";
import { fit } from "./style.ts";

type Flags = StoreFlags & { readonly json?: boolean };

export async function checkpointCommand(
  sessionId: string,
  name: string | undefined,
  flags: Flags,
  io: Io,
): Promise<number> {
  return withStore(flags, io, async (store) => {
    await knownSession(store, sessionId);
    const checkpointId = await store.operations.checkpoint({ sessionId, ...(name !== undefined && { name }) });
    io.out(flags.json ? json({ sessionId, checkpointId, name: name ?? checkpointId }) : checkpointId);
    return EXIT.ok;
  });
}

export async function restoreCommand(checkpointId: string, flags: Flags, io: Io): Promise<number> {
  return withStore(flags, io, async (store) => {
    const sessionId = await assertCheckpoint(store, checkpointId);
    if (!(await store.operations.restore({ checkpointId })))
      throw new OrchestraError("ORCH_SESSION_STATE", `checkpoint "${checkpointId}" could not be restored`, {
        details: { checkpointId },
      });
    io.out(
      flags.json
        ? json({ checkpointId, restored: true })
        : `restored ${checkpointId}; ${resumeHint(sessionId, store)} goes on from there`,
    );
    return EXIT.ok;
  });
}

export async function forkCommand(checkpointId: string, flags: Flags & { session?: string }, io: Io): Promise<number> {
  return withStore(flags, io, async (store) => {
    await assertCheckpoint(store, checkpointId);
    const sessionId = await store.operations.fork({
      checkpointId,
      ...(flags.session !== undefined && { sessionId: flags.session }),
    });
    io.out(flags.json ? json({ checkpointId, sessionId }) : sessionId);
    return EXIT.ok;
  });
}

/** As diff(1): 0 when they are equal, 1 when they part. */
export async function diffCommand(a: string, b: string, flags: Flags, io: Io): Promise<number> {
  return withStore(flags, io, async ({ operations }) => {
    const parted = await operations.diff({ a, b });
    if (flags.json) io.out(json(parted));
    else if (parted.equal) io.out(`equal: ${parted.commonCommits} commits`);
    else
      io.out(
        [
          `${parted.commonCommits} commits in common, then`,
          ...(parted.parting === null
            ? []
            : [`- ${parted.parting.a}`, `+ ${parted.parting.b}`, "and the steps from there on:"]),
          ...parted.a.map((step) => `- ${stepLine(step, io)}`),
          ...parted.b.map((step) => `+ ${stepLine(step, io)}`),
          ...(parted.a.length + parted.b.length === 0 ? ["  no step in either"] : []),
        ].join("\n"),
      );
    return parted.equal ? EXIT.ok : EXIT.failed;
  });
}

function stepLine({ stepId, node, output, error }: StepView, io: Io): string {
  const what = error === null ? JSON.stringify(output) : `${error.code}: ${error.message}`;
  return fit(`${stepId} ${node} ${what}`, Math.max(io.stdout.columns, 80) - 2);
}
