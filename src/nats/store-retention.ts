// What snapshots allow to drop
//
// Owns:      which snapshots stay, and where a log is cut.
// Does not:  decide it: verdicts are those of every store (state/retention.ts).
//
// T1  A log is cut by removing what lies before one message of its subject. That is one operation of the stream and
//     touches nothing anybody may be appending, so a take-over meanwhile neither loses nor is refused anything.
// T2  The snapshot a cut log begins after is there when the cut is done: were it dropped by another host in between, it is
//     put back.

import type { Logger } from "../base/logger.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Snapshot } from "../state/ports.ts";
import { decideCut, decideStaleSnapshots, SNAPSHOTS_KEPT } from "../state/retention.ts";
import type { Names } from "./names.ts";
import type { LogReader } from "./store-read.ts";
import type { Snapshots } from "./store-snapshots.ts";
import type { StreamAccess } from "./store-stream.ts";
import { Turns } from "../base/turns.ts";

export interface RetentionPorts {
  readonly streams: StreamAccess;
  readonly names: Names;
  readonly reader: LogReader;
  readonly snapshots: Snapshots;
  readonly logger: Logger;
  seqOf(sessionId: string, n: number): number | undefined;
}

export class LogRetention {
  readonly #ports: RetentionPorts;
  readonly #turns = new Turns();

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  /** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` */
  save(sessionId: string, snapshot: Snapshot): Promise<void> {
    const { snapshots, reader, seqOf } = this.#ports;
    return this.#turns.take(sessionId, async () => {
      const first = await reader.first(sessionId);
      if (first === null)
        throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session ${sessionId} is not in the store "nats"`, {
          details: { sessionId },
        });
      await snapshots.save(sessionId, snapshot, seqOf(sessionId, snapshot.n));
      const positions = await snapshots.positions(sessionId);
      if (positions.length <= SNAPSHOTS_KEPT) return;
      for (const n of decideStaleSnapshots(positions, first.n)) await snapshots.drop(sessionId, n);
    });
  }

  compact(sessionId: string, belowN: number): Promise<void> {
    const { streams, names, reader, snapshots } = this.#ports;
    return this.#turns.take(sessionId, async () => {
      const head = await reader.head(sessionId);
      if (head === null) return;
      const good = await snapshots.good(sessionId);
      const cut = decideCut(
        belowN,
        good.map(({ n }) => n),
        head.n,
      );
      const first = await reader.first(sessionId);
      if (cut === null || first === null || cut.firstCommit <= first.n) return;
      const seq = await reader.seqAt(sessionId, cut.firstCommit);
      if (seq === null) return;
      await streams.purge(names.streams.log, names.log(sessionId), seq);
      // T2
      const base = good.find(({ n }) => n === cut.firstSnapshot);
      if (base !== undefined && !(await snapshots.has(sessionId, base.n)))
        await snapshots.save(sessionId, base, seq - 1);
      for (const n of await snapshots.positions(sessionId))
        if (n < cut.firstSnapshot) await snapshots.drop(sessionId, n);
    });
  }

  idle(): Promise<void> {
    return this.#turns.idle();
  }
}
