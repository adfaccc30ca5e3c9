// What a model-backed agent is made of.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { ModelMessage } from "ai";
import type { AgentContext, RunnableAgent, SteeringMode } from "../../runtime/agent.ts";
import type { ConversationOptions } from "../conversation/conversation.ts";
import type { Tool, ToolSource } from "../tools/tool.ts";
import type { LanguageModel } from "./language-model.ts";
import type { ModelSettings, ProviderOptions } from "./model-call.ts";
import type { ModelPrice } from "./price.ts";

export interface ModelAgentDefinition<
  I extends StandardSchemaV1 | undefined = undefined,
  O extends StandardSchemaV1 | undefined = undefined,
> extends Pick<RunnableAgent, "retry" | "timeoutMs" | "concurrency" | "allowedPeers"> {
  readonly name: string;
  /** What it is good for: other agents' models read it when they choose whom to call. */
  readonly description?: string;
  /** From any provider package of the AI SDK, or `recordModel`, `replayModel`, `ScriptedModel`. */
  readonly model: LanguageModel;
  /** The system message. A function is called once per step, and must give the same when the step runs again. */
  readonly instructions?: string | ((ctx: AgentContext) => string);
  /** Checks (and may convert) what the agent is given. */
  readonly input?: I;
  /** What the answer must be. Without it the answer is text. */
  readonly output?: O;
  /** What the model is asked, made of the step's input: a text, or parts with images and files. Default: `userContent`. */
  readonly prompt?: (input: any, ctx: AgentContext) => unknown;
  /** Temperature, output tokens and the like. */
  readonly settings?: ModelSettings;
  /** Handed to the provider as they are. */
  readonly providerOptions?: ProviderOptions;
  /** What tokens cost, for `usage.costUsd` and the budget. Default: nothing is counted. */
  readonly price?: ModelPrice;
  /** What the model may have done for it: `defineTool`, MCP servers. */
  readonly tools?: readonly (Tool | ToolSource)[];
  /**
   * How the model says that it uses a tool or calls an agent: by tool calls of its own, or, for models without, by the
   * JSON contract `{ "next_action", "action_input" }`, which is understood in either case. Default "native".
   */
  readonly actions?: "native" | "json";
  /** Leaves out agents the topology would let it call, such as specialists the run's context does not name. Asked once per step. */
  readonly mayCall?: (agent: string, ctx: AgentContext) => boolean;
  /**
   * What it remembers from step to step. `false`: nothing but what one talk holds, which goes on after replies, answers and
   * approvals. Default: the same, and within a conversation (`A <~> B`) its turns.
   */
  readonly memory?: ConversationOptions<ModelMessage> | false;
  /** Overrides the run's `steeringMode`. */
  readonly steering?: SteeringMode;
  /** Calls of the model in one step, corrective ones included. Default 16. */
  readonly maxTurns?: number;
}

/** What the turn loop works with: the definition, with its defaults. */
export interface ModelAgentOptions extends ModelAgentDefinition<any, any> {
  readonly settings: ModelSettings;
  readonly maxTurns: number;
  readonly tools: readonly (Tool | ToolSource)[];
  readonly actions: "native" | "json";
}
