// Settling: what follows once nothing more comes to a barrier or a frame (architecture, 5.4).

import type { Stored } from "../base/stored.ts";
import { askAtBarrier, compareOrder, decideBarrier, failBarrier, fire, policyAt } from "./barriers.ts";
import { listOf, type Draft } from "./draft.ts";
import type { Arrival } from "./effects.ts";
import { completeRun, failRun } from "./ending.ts";
import { callNext, decideFrame, firstFailure, noteReply, type CallsVerdict, type FrameVerdict } from "./frames.ts";
import { GrowingList } from "./growing-list.ts";
import { outsideOfReturn, proceed } from "./moves.ts";
import type { Barrier, Frame, Instance } from "./session-state.ts";
import { askInsufficient } from "./steps.ts";
import { failStep, leave, wake } from "./outcomes.ts";

/** Settles everything that is due (D3), until nothing more follows. `held`: conditions judged with the fact at hand. */
export function settle(draft: Draft, held: readonly number[]): void {
  while (draft.run.end === null) {
    if (draft.refused !== null) {
      failRun(draft, draft.refused.error, draft.refused.reason);
      return;
    }
    const due = nextDecidable(draft);
    if (due !== undefined) {
      closeBarrier(draft, due.instance, due.barrier, due.verdict);
      continue;
    }
    const frameId = draft.emptied.pop();
    if (frameId === undefined) return;
    const frame = draft.run.frames.get(frameId);
    if (frame !== undefined && frame.live === 0 && frame.asking !== true) endFrame(draft, frame, held);
  }
}

function nextDecidable(
  draft: Draft,
): { instance: Instance; barrier: Barrier; verdict: "fire" | "insufficient" } | undefined {
  if (draft.touched === undefined) return undefined;
  for (const id of draft.touched) {
    const instance = draft.run.instances.get(id);
    if (instance !== undefined && instance.total > 0) {
      for (const barrier of instance.barriers) {
        const verdict = decideBarrier(draft, instance, barrier);
        if (verdict !== "wait") return { instance, barrier, verdict };
      }
    } else if (instance !== undefined) {
      draft.run.instances = draft.run.instances.delete(id);
    }
    draft.touched.delete(id);
  }
  return undefined;
}

function closeBarrier(draft: Draft, instance: Instance, barrier: Barrier, verdict: "fire" | "insufficient"): void {
  if (verdict === "fire") {
    proceed(draft, fire(draft, instance, barrier));
    return;
  }
  const { onInsufficient = "fail" } = policyAt(draft, barrier.end);
  if (onInsufficient === "proceed") proceed(draft, fire(draft, instance, barrier));
  else if (onInsufficient === "user") askAtBarrier(draft, instance, barrier);
  else failBarrier(draft, instance, barrier, outsideOfReturn(draft, instance, barrier.end));
}

function endFrame(draft: Draft, frame: Frame, held: readonly number[], decided?: FrameVerdict): void {
  if (frame.kind === "notify") {
    draft.closeFrame(frame.id);
    draft.addLive(0, -1);
    return;
  }
  const verdict = decided ?? decideFrame(draft, frame);
  if (verdict.type === "ask") {
    draft.putFrame({ ...frame, asking: true });
    askInsufficient(
      draft,
      draft.nodeName(frame.node),
      { frame: frame.id },
      frame.failures.map((f) => f.node),
    );
    return;
  }
  if (verdict.type === "delivered" && verdict.partial) {
    draft.run.partial = true;
    for (const { node } of frame.failures) draft.noteOnce("missing", node);
  }
  if (frame.kind === "run") {
    if (verdict.type === "delivered") completeRun(draft, verdict.values);
    else failRun(draft, verdict.error);
    return;
  }
  draft.closeFrame(frame.id);
  const owner = draft.branch(frame.owner!);
  if (frame.kind === "call") {
    const from = draft.nodeName(frame.node);
    const reply: Arrival =
      verdict.type === "delivered" ? { from, value: listOf(verdict.values) } : { from, error: verdict.error };
    goOn(draft, owner.id, noteReply(draft, owner.id, frame.call, reply), held);
    return;
  }
  const resumed = draft.putBranch({ ...owner, phase: { kind: "idle" } });
  if (verdict.type === "delivered") leave(draft, resumed, listOf(verdict.values), { held, input: resumed.input });
  else failStep(draft, resumed, verdict.error, { held, input: resumed.input });
}

function goOn(draft: Draft, branchId: number, verdict: CallsVerdict, held: readonly number[]): void {
  switch (verdict.type) {
    case "wait":
      return;
    case "next":
      callNext(draft, branchId);
      return;
    case "woken":
      if (verdict.missing.length > 0) draft.run.partial = true;
      for (const name of verdict.missing) draft.noteOnce("missing", name);
      wake(draft, draft.branch(branchId), verdict.replies);
      return;
    case "failed": {
      const branch = draft.branch(branchId);
      draft.dropWork(branch);
      const resumed = draft.putBranch({ ...draft.branch(branchId), phase: { kind: "idle" } });
      failStep(draft, resumed, verdict.error, { held, input: resumed.input });
    }
  }
}

/** A person's word on what is missing: go on with what there is, give up, or take this value in. */
export function answerInsufficient(
  draft: Draft,
  of: { barrier?: { instance: number; end: number }; frame?: number },
  word: "proceed" | "fail" | Stored,
): void {
  if (of.barrier !== undefined) {
    const instance = draft.instance(of.barrier.instance);
    const barrier = instance.barriers.find((b) => b.end === of.barrier!.end)!;
    if (word === "fail") {
      failBarrier(draft, instance, barrier, outsideOfReturn(draft, instance, barrier.end));
      return;
    }
    const added =
      word === "proceed"
        ? []
        : [
            {
              branch: 0,
              parent: null,
              order: instance.base,
              from: "User",
              arrival: { from: "User", value: word },
              late: [],
            },
          ];
    proceed(draft, fire(draft, instance, { ...barrier, arrivals: GrowingList.from([...barrier.arrivals, ...added]) }));
    return;
  }
  const frame = draft.frame(of.frame!);
  const values = frame.deliveries.toSorted((a, b) => compareOrder(a.order, b.order)).map((d) => d.value);
  if (word !== "proceed" && word !== "fail") values.push(word);
  const verdict: FrameVerdict =
    word === "fail" || values.length === 0
      ? { type: "failed", error: firstFailure(draft, frame)! }
      : { type: "delivered", values, partial: true };
  endFrame(draft, frame, [], verdict);
}
