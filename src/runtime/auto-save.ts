// Auto save: periodic checkpoints beside the commits, for who wants a place to go back to.

import type { Clock } from "../base/clock.ts";
import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { SessionStore } from "../state/ports.ts";
import { isAutomatic } from "./checkpoints.ts";
import type { Engine } from "./engine-api.ts";

export const AUTO_SAVE_NAME = "autosave";
const KEEP = 3;

/** Makes a checkpoint of the session every `everyMs` and keeps the last three of them. Returns the way to stop; what is under way then ends first. */
export function autoSave(
  ports: { engine: Engine; store: SessionStore; clock: Clock; logger: Logger },
  sessionId: string,
  everyMs: number,
): () => Promise<void> {
  const { engine, store, clock, logger } = ports;
  let working: Promise<void> = Promise.resolve();
  let cancel: () => void = () => undefined;
  const save = async (): Promise<void> => {
    try {
      await engine.createCheckpoint(sessionId, AUTO_SAVE_NAME, { automatic: true });
      const saved = (await store.listCheckpoints(sessionId))
        .filter((checkpoint) => isAutomatic(checkpoint) && checkpoint.name === AUTO_SAVE_NAME)
        .sort((a, b) => a.n - b.n);
      for (const old of saved.slice(0, -KEEP)) await store.deleteCheckpoint(old.checkpointId);
    } catch (error) {
      // The log has everything; a checkpoint that could not be made costs nothing but the checkpoint.
      logger.warn({ sessionId, error: errorToData(error) }, "an automatic checkpoint could not be made");
    }
  };
  const arm = (): void => {
    cancel = clock.setTimer(everyMs, () => {
      working = save().then(arm);
    });
  };
  arm();
  return async () => {
    cancel();
    await working;
    cancel();
  };
}
