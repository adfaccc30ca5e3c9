// replayModel: a model that answers from a cassette, and from nothing else.

import { OrchestraError } from "../../base/errors.ts";
import { keyOf, readCassette, requestOf, type CassetteEntry } from "./cassette.ts";
import type { CallOptions, GenerateResult, LanguageModel, ModelV3, StreamPart } from "./language-model.ts";
import { lineDiff } from "./line-diff.ts";

/**
 * Answers each request as it was answered when `recordModel` wrote `file`: by the request, whatever order they come in;
 * equal requests in the order they were recorded. Calls no model.
 *
 * @throws {OrchestraError} `ORCH_CASSETTE` when the file cannot be read; a call is refused by the same code when its request
 *   is not in it, with the difference to the one that is most like it.
 */
export function replayModel(file: string): LanguageModel {
  const entries = readCassette(file);
  const unused = new Set(entries);
  const take = (options: CallOptions, type: CassetteEntry["answer"]["type"]): CassetteEntry => {
    const request = requestOf(options);
    const key = keyOf(request);
    const same = entries.filter((entry) => entry.key === key && entry.answer.type === type);
    const next = same.find((entry) => unused.has(entry));
    if (next === undefined) throw drift(file, request, same.length, unused.size > 0 ? [...unused] : entries);
    unused.delete(next);
    return next;
  };
  const [first] = entries as [CassetteEntry, ...CassetteEntry[]];
  const replaying: Omit<ModelV3, "specificationVersion"> = {
    provider: first.provider,
    modelId: first.model,
    supportedUrls: first.capabilities.supportedUrls,
    async doGenerate(options) {
      return (take(options, "generate").answer as { result: GenerateResult }).result;
    },
    async doStream(options) {
      const { parts } = take(options, "stream").answer as { parts: readonly StreamPart[] };
      return {
        stream: new ReadableStream<StreamPart>({
          start(controller) {
            for (const part of parts) controller.enqueue(part);
            controller.close();
          },
        }),
      };
    },
  };
  // What it gives is what was recorded, of whichever version.
  return { ...first.capabilities, ...replaying } as LanguageModel;
}

function drift(file: string, request: unknown, recorded: number, others: readonly CassetteEntry[]): Error {
  const refused = (message: string, details: object): Error =>
    Object.assign(new OrchestraError("ORCH_CASSETTE", message, { details: { file, ...details } }), {
      retryable: false,
    });
  if (recorded > 0)
    return refused(
      `the cassette ${file} has ${recorded} ${recorded === 1 ? "answer" : "answers"} to this request, and all are given; record it again`,
      {
        recorded,
      },
    );
  const asked = linesOf(request);
  const near = others
    .map((entry) => ({ entry, diff: lineDiff(linesOf(entry.request), asked) }))
    .sort((a, b) => a.diff.changes - b.diff.changes)[0];
  const diff = near?.diff.text ?? "";
  return refused(
    `the cassette ${file} has no answer to this request. The one most like it differs (- recorded, + asked); record it again if that is meant:\n${diff}`,
    { diff },
  );
}

function linesOf(request: unknown): readonly string[] {
  // Texts of many lines are shown as such, since a difference in an instruction is what is looked for.
  return JSON.stringify(request, undefined, 2)
    .split("\n")
    .flatMap((line) => line.replaceAll(String.raw`\n`, "\n").split("\n"));
}
