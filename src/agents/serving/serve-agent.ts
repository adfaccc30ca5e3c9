// Serve an agent: the server's side of the agent protocol, as a handler of node:http. The client's is `remoteAgent`.

import { errorToData } from "../../base/error-data.ts";
import { isOrchestraError } from "../../base/errors.ts";
import type { AgentLike } from "../../runtime/agent-source.ts";
import { toJsonValue } from "../../runtime/result-json.ts";
import { INPUT_REQUIRED, textOf } from "../remote/protocol.ts";
import { answerJson, assertMethod, httpDoor, type Exchange, type RequestHandler } from "./http-door.ts";
import { parseInvokeBody } from "./invoke-body.ts";
import { readJsonBody } from "./json-body.ts";
import { RefusedRequest } from "./refused-request.ts";
import type { ServedCall, ServedEnd, ServedRuns } from "./served-runs.ts";
import {
  PENDING_BYTES_MAX,
  resolveServing,
  servedRuns,
  type ResolvedServing,
  type ServingOptions,
} from "./serving-options.ts";
import { SseWriter } from "./sse-writer.ts";
import { doneOf, errorOf } from "./wire-ends.ts";

/**
 * A handler of `POST /invoke` (and `GET /health`) that runs `agent`, anything that may stand for one, a whole topology
 * too: `createServer(serveAgent(agent)).listen(8081)`.
 *
 * A call with an `Idempotency-Key` is run once: repeated with the same key by the same caller it is answered from its
 * record, joins the run while it is under way, or has it go on where it was given up.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`
 */
export function serveAgent(agent: AgentLike, options: ServingOptions = {}): RequestHandler {
  const resolved = resolveServing("serveAgent", agent, options);
  const runs = servedRuns(agent, resolved);
  const { basePath, authorize, logger } = resolved;
  return httpDoor({
    basePath,
    authorize,
    logger,
    open: ["GET /health"],
    close: () => runs.close(),
    handle: async (exchange) => {
      if (exchange.path === "/health") {
        assertMethod(exchange, "GET");
        return answerJson(exchange.response, { status: "healthy" });
      }
      if (exchange.path !== "/invoke") throw new RefusedRequest(404, "not found");
      assertMethod(exchange, "POST");
      await invoke(runs, resolved, exchange);
    },
  });
}

async function invoke(runs: ServedRuns, options: ResolvedServing, exchange: Exchange): Promise<void> {
  const { request, response, signal } = exchange;
  const { requestBytesMax: bytesMax, requestTimeoutMs: timeoutMs, clock, logger } = options;
  const body = parseInvokeBody(await readJsonBody(request, { bytesMax, timeoutMs, clock }));
  const admitted = await runs.admit(callOf(body, exchange));
  const stream = {
    clock,
    heartbeatMs: options.heartbeatMs,
    stallMs: options.stallMs,
    pendingBytesMax: PENDING_BYTES_MAX,
  };
  const writer = new SseWriter(response, stream);
  const { runId } = body;
  try {
    const end = await admitted.follow((chunk) => writer.offer("delta", deltaOf(chunk, runId)), signal);
    if (end !== undefined) writer.send(...lastEvent(end));
  } catch (error) {
    // Closing: whoever calls again finds the run where it was left.
    if (isOrchestraError(error, "ORCH_CLOSED")) return void response.destroy();
    logger.error(
      { sessionId: admitted.sessionId, error: errorToData(error) },
      "a run for a caller could not be followed",
    );
    writer.send("error", errorOf(errorToData(error), true));
  }
  if (writer.omitted > 0)
    logger.warn(
      { sessionId: admitted.sessionId, omitted: writer.omitted },
      "a slow caller was not told of every delta",
    );
  writer.end();
}

function callOf(body: ReturnType<typeof parseInvokeBody>, { request, principal }: Exchange): ServedCall {
  const { "idempotency-key": key, traceparent } = request.headers;
  const { sessionId, runId, input, messages, answerTo } = body;
  // These two name the session of a run, which is not the caller's to name.
  const { sessionId: _own, session_id: _alike, ...context } = body.context;
  return {
    principal,
    input,
    messages,
    conversation: sessionId,
    names: { sessionId, runId },
    context: { ...context, ...(typeof traceparent === "string" && { traceparent }) },
    ...(typeof key === "string" && key !== "" && { key }),
    ...(answerTo !== undefined && { answerTo }),
  };
}

/** Text as it is; what is more than text beside whatever text it has. */
function deltaOf(chunk: unknown, runId: string): Record<string, unknown> {
  if (typeof chunk === "string") return { text: chunk, run_id: runId };
  const text: unknown = (chunk as { text?: unknown } | null)?.text;
  return { text: typeof text === "string" ? text : "", run_id: runId, chunk: toJsonValue(chunk) };
}

function lastEvent({ result, retryable, question }: ServedEnd): [event: string, data: unknown] {
  if (result.success) return ["done", doneOf(result)];
  if (question !== undefined)
    return [
      "error",
      {
        code: INPUT_REQUIRED,
        message: `the agent asks: ${textOf(question.prompt)}`,
        retryable: false,
        question: { id: question.id, prompt: toJsonValue(question.prompt) },
      },
    ];
  return ["error", errorOf(result.error ?? { code: "ORCH_CANCELLED", message: "the run was cancelled" }, retryable)];
}
