// recordModel: a model whose calls are written down while they are made.

import { appendFile, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { capabilitiesOf, entryLine, keyOf, requestOf, type CassetteEntry } from "./cassette.ts";
import type { CallOptions, LanguageModel, ModelV3, StreamPart } from "./language-model.ts";

/**
 * `model` as it is, with each answer that came to its end appended to the cassette `file` (made where it is missing) before
 * its caller has it whole. `replayModel` answers from it.
 */
export function recordModel(model: LanguageModel, file: string): LanguageModel {
  // A model of the version before differs in what it gives, not in how it is called; what it gives is kept as it is.
  const source = model as ModelV3;
  let written: Promise<void> = Promise.resolve();
  const write = async (options: CallOptions, answer: CassetteEntry["answer"]): Promise<void> => {
    const request = requestOf(options);
    const { provider, modelId } = model;
    const capabilities = await capabilitiesOf(model);
    const line = entryLine({ v: 1, provider, model: modelId, capabilities, key: keyOf(request), request, answer });
    written = written
      .catch(() => undefined)
      .then(() => mkdir(dirname(file), { recursive: true }))
      .then(() => appendFile(file, line));
    await written;
  };
  const recording: ModelV3 = {
    specificationVersion: source.specificationVersion,
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: source.supportedUrls,
    async doGenerate(options) {
      const result = await source.doGenerate(options);
      const { request: _request, response, ...kept } = result;
      const { headers: _headers, body: _body, ...about } = response ?? {};
      await write(options, { type: "generate", result: { ...kept, response: about } });
      return result;
    },
    async doStream(options) {
      const { stream, ...rest } = await source.doStream(options);
      const parts: StreamPart[] = [];
      let isWhole = true;
      const taking = new TransformStream<StreamPart, StreamPart>({
        transform(part, controller) {
          if (part.type === "error") isWhole = false;
          if (part.type !== "raw") parts.push(part);
          controller.enqueue(part);
        },
        async flush() {
          if (isWhole && parts.at(-1)?.type === "finish") await write(options, { type: "stream", parts });
        },
      });
      return { ...rest, stream: stream.pipeThrough(taking) };
    },
  };
  return withCapabilities(recording, model);
}

/** What providers say of a model beside its interface. */
function withCapabilities(recording: ModelV3, model: LanguageModel): LanguageModel {
  const structured: unknown = Reflect.get(model, "supportsStructuredOutputs");
  return structured === undefined ? recording : Object.assign(recording, { supportsStructuredOutputs: structured });
}
