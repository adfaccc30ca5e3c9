// Serve an agent by A2A: its card, and JSON-RPC with streams, as a handler of node:http. The client's side is `a2aAgent`.

import type { AgentCard, AgentSkill } from "@a2a-js/sdk";
import type {
  DefaultRequestHandler,
  JsonRpcTransportHandler,
  ServerCallContext,
  TaskStore,
  User,
} from "@a2a-js/sdk/server";

import { OrchestraError } from "../../base/errors.ts";
import { optionalPackage } from "../../base/optional-package.ts";
import type { AgentLike } from "../../runtime/agent-source.ts";
import { isFields } from "../remote/protocol.ts";
import { A2aExecutor } from "./a2a-executor.ts";
import { A2aTaskStore } from "./a2a-task-store.ts";
import { answerJson, assertMethod, httpDoor, type Exchange, type RequestHandler } from "./http-door.ts";
import { readJsonBody } from "./json-body.ts";
import { RefusedRequest } from "./refused-request.ts";
import {
  PENDING_BYTES_MAX,
  resolveServing,
  servedRuns,
  type ResolvedServing,
  type ServingOptions,
} from "./serving-options.ts";
import { SseWriter } from "./sse-writer.ts";

export interface A2aServingOptions extends Omit<ServingOptions, "onDisconnect"> {
  /** Where callers reach this handler, as the card tells them: `https://agents.example.com/writer`. */
  readonly url: string;
  /** Default: the agent's own. */
  readonly description?: string;
  /** Of the agent. Default "1.0.0". */
  readonly version?: string;
  /** What it can do. Default: one skill of its name and description. */
  readonly skills?: readonly (Pick<AgentSkill, "id" | "name" | "description"> & Partial<AgentSkill>)[];
  /** Laid over the card: security schemes, a provider, signatures. */
  readonly card?: Partial<AgentCard>;
  /** Where tasks are kept beside their runs. Default: in memory, the last 1,000. */
  readonly taskStore?: TaskStore;
}

const CARD_PATH = "/.well-known/agent-card.json";
const OWN_OPTIONS = ["url", "description", "version", "skills", "card", "taskStore"];

/**
 * A handler of `GET /.well-known/agent-card.json`, which needs nobody's leave, and of A2A 1.0 over JSON-RPC at `POST /`,
 * for `agent`, anything that may stand for one. Tasks go on when their callers are gone. Needs the package `@a2a-js/sdk`.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_PACKAGE_MISSING`
 */
export async function serveA2a(agent: AgentLike, options: A2aServingOptions): Promise<RequestHandler> {
  const resolved = resolveServing("serveA2a", agent, { ...options, onDisconnect: "finish" }, OWN_OPTIONS);
  if (!URL.canParse(options.url))
    throw new OrchestraError("ORCH_BAD_OPTION", `serveA2a: url: expected a URL, got ${JSON.stringify(options.url)}`);
  const { core, server, errors } = await optionalPackage("@a2a-js/sdk", async () => ({
    core: await import("@a2a-js/sdk"),
    server: await import("@a2a-js/sdk/server"),
    errors: await import("@a2a-js/sdk/errors"),
  }));
  const runs = servedRuns(agent, resolved);
  const card = cardOf(agent, resolved.name, options);
  const store = options.taskStore ?? new A2aTaskStore(() => new server.InMemoryTaskStore());
  const handler = new server.DefaultRequestHandler(card, store, new A2aExecutor(core, runs, resolved));
  refuseWhileWorking(
    handler,
    store,
    (text) => new errors.UnsupportedOperationError(text),
    core.TaskState.TASK_STATE_INPUT_REQUIRED,
  );
  const rpc = new server.JsonRpcTransportHandler(handler);
  const contextOf = ({ principal, request }: Exchange): ServerCallContext => {
    const { "a2a-version": version, "a2a-extensions": extensions } = request.headers;
    return new server.ServerCallContext({
      user: { isAuthenticated: principal !== "", userName: principal } satisfies User,
      requestedExtensions: core.Extensions.parseServiceParameter(
        typeof extensions === "string" ? extensions : undefined,
      ),
      ...(typeof version === "string" && { requestedVersion: version }),
    });
  };
  const errorOf = (error: unknown): unknown => server.JsonRpcTransportHandler.mapToJSONRPCError(error);
  const wire = {
    rpc,
    contextOf,
    errorOf,
    validate: (version: string) => server.validateVersion(version, card, "JSONRPC"),
  };
  const { basePath, authorize, logger } = resolved;
  return httpDoor({
    basePath,
    authorize,
    logger,
    open: [`GET ${CARD_PATH}`],
    close: () => runs.close(),
    handle: async (exchange) => {
      if (exchange.path === CARD_PATH) {
        assertMethod(exchange, "GET");
        return answerJson(exchange.response, core.AgentCard.toJSON(card), { "cache-control": "max-age=60" });
      }
      if (exchange.path !== "/") throw new RefusedRequest(404, "not found");
      assertMethod(exchange, "POST");
      await answerRpc(wire, resolved, exchange);
    },
  });
}

interface Wire {
  readonly rpc: JsonRpcTransportHandler;
  contextOf(exchange: Exchange): ServerCallContext;
  errorOf(error: unknown): unknown;
  validate(version: string): void;
}

async function answerRpc(wire: Wire, options: ResolvedServing, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const { requestBytesMax: bytesMax, requestTimeoutMs: timeoutMs, clock } = options;
  const body = await readJsonBody(request, { bytesMax, timeoutMs, clock });
  if (!isFields(body)) throw new RefusedRequest(400, "invalid request body");
  const { id = null } = body;
  const failed = (error: unknown): unknown => ({ jsonrpc: "2.0", id, error: wire.errorOf(error) });
  const context = wire.contextOf(exchange);
  let events: AsyncIterator<unknown>;
  let first: IteratorResult<unknown>;
  try {
    wire.validate(context.requestedVersion);
    const answer = await wire.rpc.handle(body, context);
    if (!(Symbol.asyncIterator in answer)) return answerJson(response, answer);
    events = answer[Symbol.asyncIterator]();
    first = await events.next();
  } catch (error) {
    return answerJson(response, failed(error));
  }
  const writer = new SseWriter(response, { ...options, pendingBytesMax: PENDING_BYTES_MAX });
  try {
    // To the end, whoever reads it: with these events the task is kept. Who reads too slowly has its stream ended before
    // the task is, and may take it up again.
    for (let event = first; event.done !== true; event = await events.next()) {
      if (writer.isFull) writer.end();
      writer.send("message", event.value);
    }
  } catch (error) {
    writer.send("error", failed(error));
  }
  writer.end();
}

/** A task takes a message when it asked for one. */
function refuseWhileWorking(
  handler: DefaultRequestHandler,
  store: TaskStore,
  refusal: (text: string) => Error,
  waiting: number,
): void {
  const check = async (taskId: string | undefined, context: ServerCallContext): Promise<void> => {
    const task = taskId === undefined || taskId === "" ? undefined : await store.load(taskId, context);
    if (task?.status !== undefined && task.status.state !== waiting)
      throw refusal(`task ${task.id} does not wait for a message`);
  };
  const send = handler.sendMessage.bind(handler);
  const stream = handler.sendMessageStream.bind(handler);
  handler.sendMessage = async (params, context) => {
    await check(params.message?.taskId, context);
    return send(params, context);
  };
  handler.sendMessageStream = async function* (params, context) {
    await check(params.message?.taskId, context);
    yield* stream(params, context);
  };
}

function cardOf(agent: AgentLike, name: string, options: A2aServingOptions): AgentCard {
  const own = (agent as { description?: unknown }).description;
  const { url, version = "1.0.0", card = {} } = options;
  const description = options.description ?? (typeof own === "string" ? own : name);
  const skills = options.skills ?? [{ id: name, name, description }];
  return {
    name,
    description,
    version,
    supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0", tenant: "" }],
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ["text/plain", "application/json"],
    defaultOutputModes: ["text/plain", "application/json"],
    skills: skills.map((skill) => ({
      tags: [],
      examples: [],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
      ...skill,
    })),
    signatures: [],
    ...card,
  };
}
