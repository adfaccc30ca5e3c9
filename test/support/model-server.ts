// A model server for tests: HTTP on a port of its own, speaking OpenAI's chat completions, streamed or at once, from a
// script, with the faults that real ones have. It records what it was asked.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ModelReply {
  /** Sent in these pieces, one event each. */
  readonly text?: string | readonly string[];
  /** What reasoning models send before their text. */
  readonly reasoning?: string;
  readonly toolCalls?: readonly { readonly id?: string; readonly name: string; readonly input: unknown }[];
  /** Default: 10 in, 5 out. `false`: the server does not say. */
  readonly usage?: { readonly input: number; readonly output: number; readonly cached?: number } | false;
  /** Default: `tool_calls` where there are any, else `stop`. */
  readonly finishReason?: "stop" | "length" | "tool_calls" | "content_filter";
  /** Before the first byte of the body. */
  readonly firstTokenAfterMs?: number;
  /** Between pieces of text. */
  readonly betweenMs?: number;
  /** Closes the connection in the middle, after so many pieces. */
  readonly cutAfter?: number;
  /** Sends something that is no JSON in place of the answer (streamed: of the second piece). */
  readonly invalidJson?: true;
  /** Answers with this status instead; `retryAfter` as the header has it, in seconds or as a date. */
  readonly status?: number;
  readonly retryAfter?: number | string;
  readonly message?: string;
  /** Never answers. */
  readonly hang?: true;
  /** Awaited before the answer. */
  readonly when?: Promise<unknown>;
}

/** A text, a reply in full, or what makes one. */
export type ModelAnswer =
  | string
  | ModelReply
  | ((request: ModelRequest, index: number) => string | ModelReply | Promise<string | ModelReply>);

export interface ModelRequest {
  /** As sent: `model`, `messages`, `tools`, `stream`, `response_format`, … */
  readonly body: {
    readonly model: string;
    readonly messages: readonly {
      readonly role: string;
      readonly content: any;
      readonly tool_calls?: any[];
      readonly tool_call_id?: string;
    }[];
    readonly stream?: boolean;
    readonly tools?: any[];
    readonly [field: string]: any;
  };
  readonly headers: IncomingMessage["headers"];
  /** The client went away before the answer was complete. */
  aborted: boolean;
}

export interface ModelServer extends AsyncDisposable {
  /** For the option `baseURL` of a provider. */
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  /** Answers not yet given. */
  readonly left: number;
  /** Answers for the requests to come, after those there are. */
  answer(...answers: readonly ModelAnswer[]): void;
  close(): Promise<void>;
}

/**
 * Gives `answers` in order, one per request; with a function instead, whatever it says, for ever. A request after the last
 * answer gets a 400 that names its index, from 0.
 */
export async function startModelServer(answers: readonly ModelAnswer[] | ModelAnswer = []): Promise<ModelServer> {
  const always = isList(answers) ? undefined : answers;
  const script: ModelAnswer[] = isList(answers) ? [...answers] : [];
  const requests: ModelRequest[] = [];
  const server = createServer((incoming, response) => {
    void readJson(incoming).then(async (body) => {
      const index = requests.length;
      const request: ModelRequest = { body, headers: incoming.headers, aborted: false };
      requests.push(request);
      response.on("close", () => (request.aborted = !response.writableFinished));
      const answer = always ?? script[index] ?? unexpected(index, script.length);
      const given = typeof answer === "function" ? await answer(request, index) : answer;
      await reply(response, request, typeof given === "string" ? { text: given } : given, index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    get left() {
      return Math.max(0, script.length - requests.length);
    },
    answer: (...more) => void script.push(...more),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isList(answers: readonly ModelAnswer[] | ModelAnswer): answers is readonly ModelAnswer[] {
  return Array.isArray(answers);
}

function unexpected(index: number, expected: number): ModelReply {
  return { status: 400, message: `request ${index} (from 0) was not expected; the script has ${expected} answers` };
}

async function readJson(incoming: IncomingMessage): Promise<ModelRequest["body"]> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString("utf8")) as ModelRequest["body"];
}

const pause = (ms: number | undefined): Promise<void> | undefined =>
  ms === undefined ? undefined : new Promise((resolve) => setTimeout(resolve, ms));

async function reply(response: ServerResponse, request: ModelRequest, given: ModelReply, index: number): Promise<void> {
  await given.when;
  await pause(given.firstTokenAfterMs);
  if (given.hang === true) return;
  if (given.status !== undefined) {
    response.writeHead(given.status, {
      "content-type": "application/json",
      ...(given.retryAfter === undefined ? {} : { "retry-after": String(given.retryAfter) }),
    });
    response.end(JSON.stringify({ error: { message: given.message ?? `status ${given.status}`, type: "scripted" } }));
    return;
  }
  if (request.body.stream === true) await stream(response, request, given, index);
  else atOnce(response, request, given, index);
}

function atOnce(response: ServerResponse, request: ModelRequest, given: ModelReply, index: number): void {
  response.writeHead(200, { "content-type": "application/json" });
  if (given.invalidJson === true) {
    response.end('{"choices": [{"mess');
    return;
  }
  const message = {
    role: "assistant",
    content: pieces(given).join(""),
    ...(given.reasoning === undefined ? {} : { reasoning_content: given.reasoning }),
    ...(given.toolCalls === undefined ? {} : { tool_calls: toolCalls(given, index) }),
  };
  response.end(
    JSON.stringify({
      ...head(request, index, "chat.completion"),
      choices: [{ index: 0, message, finish_reason: finishReason(given) }],
      ...usage(given),
    }),
  );
}

async function stream(
  response: ServerResponse,
  request: ModelRequest,
  given: ModelReply,
  index: number,
): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const send = (delta: unknown, finish: string | null = null, more: object = {}): void => {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    response.write(
      `data: ${JSON.stringify({ ...head(request, index, "chat.completion.chunk"), choices, ...more })}\n\n`,
    );
  };
  if (given.reasoning !== undefined) send({ role: "assistant", reasoning_content: given.reasoning });
  let sent = 0;
  for (const piece of pieces(given)) {
    if (sent > 0) await pause(given.betweenMs);
    if (response.destroyed) return;
    if (given.cutAfter === sent) break;
    if (given.invalidJson === true && sent === 1) response.write('data: {"choices": [{"del\n\n');
    send({ role: "assistant", content: piece });
    sent++;
  }
  if (given.cutAfter !== undefined) {
    // What was written is to arrive before the connection goes.
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.destroy();
    return;
  }
  for (const [i, call] of toolCalls(given, index).entries()) send({ tool_calls: [{ index: i, ...call }] });
  send({}, finishReason(given), usage(given));
  response.end("data: [DONE]\n\n");
}

function pieces({ text }: ModelReply): readonly string[] {
  if (text === undefined) return [];
  return typeof text === "string" ? [text] : text;
}

function head({ body }: ModelRequest, index: number, object: string): object {
  return { id: `chatcmpl-${index}`, object, created: 1_700_000_000, model: body.model };
}

function toolCalls({ toolCalls: calls = [] }: ModelReply, index: number): object[] {
  return calls.map(({ id, name, input }, i) => ({
    id: id ?? `call_${index}_${i}`,
    type: "function",
    function: { name, arguments: typeof input === "string" ? input : JSON.stringify(input) },
  }));
}

function finishReason({ finishReason: reason, toolCalls: calls }: ModelReply): string {
  return reason ?? (calls === undefined ? "stop" : "tool_calls");
}

function usage({ usage: given = { input: 10, output: 5 } }: ModelReply): object {
  if (given === false) return {};
  const { input, output, cached } = given;
  return {
    usage: {
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: input + output,
      ...(cached === undefined ? {} : { prompt_tokens_details: { cached_tokens: cached } }),
    },
  };
}
