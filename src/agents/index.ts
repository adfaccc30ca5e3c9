// What `orchestra/agents` offers.

// Model-backed agents
export { modelEmbedder } from "./model/model-embedder.ts";
export { modelAgent } from "./model/model-agent.ts";
export type { ModelAgentDefinition } from "./model/model-agent-definition.ts";
export type { ModelChunk, ModelSettings, ProviderOptions } from "./model/model-call.ts";
export { ModelCallError } from "./model/model-errors.ts";
export type { ModelPrice } from "./model/price.ts";
export { recordModel } from "./model/record-model.ts";
export { replayModel } from "./model/replay-model.ts";
export { userContent } from "./model/user-content.ts";
export type { LanguageModel } from "./model/language-model.ts";

// Tools
export { defineTool } from "./tools/define-tool.ts";
export type { ToolDefinition } from "./tools/define-tool.ts";
export { withTerms } from "./tools/tool-terms.ts";
export type { ToolTerms } from "./tools/tool-terms.ts";
export { toolAgent } from "./tools/tool-agent.ts";
export type { ToolAgentOptions } from "./tools/tool-agent.ts";
export { callTool } from "./tools/tool-runner.ts";
export type { CallToolOptions, ToolCall, ToolOutcome } from "./tools/tool-runner.ts";
export { approvalReply, carryOver, takeCarried } from "./tools/approval.ts";
export type { ApprovalReply, ToolApprovalPrompt } from "./tools/approval.ts";
export type { JsonSchema, Tool, ToolContext, ToolPolicy, ToolSource } from "./tools/tool.ts";

// Tools of MCP servers
export { McpServers } from "./mcp/mcp-servers.ts";
export type { McpServer, McpServerPorts } from "./mcp/mcp-server.ts";
export type { McpHttpOptions, McpServerOptions, McpStdioOptions } from "./mcp/options.ts";

// Conversations
export { openConversation } from "./conversation/conversation.ts";
export type { Conversation, ConversationOptions, Retention } from "./conversation/conversation.ts";
export { conversationWindow } from "./conversation/window.ts";
export type { WindowOptions } from "./conversation/window.ts";
export type { Message, MessagePart } from "./conversation/message.ts";
export type { CountTokens } from "./conversation/tokens.ts";
export { memoryConversations } from "./conversation/store.ts";
export type { ConversationEntry, ConversationStore } from "./conversation/store.ts";

// Steering
export { allowedActions } from "./steering/allowed-actions.ts";
export type { AllowedActions, AllowedCall, AllowedOptions, Failure } from "./steering/allowed-actions.ts";
export { readReply } from "./steering/read-reply.ts";
export type { Refused, SteeredReply } from "./steering/action.ts";
export { readSteeringCalls, steeringTools } from "./steering/native-tools.ts";
export type { NativeCall, SteeringTool } from "./steering/native-tools.ts";
export { steeringInstructions } from "./steering/instructions.ts";

// Agents of other processes
export { remoteAgent } from "./remote/remote-agent.ts";
export type { RemoteAgentOptions } from "./remote/remote-agent.ts";
export { RemoteAgentError } from "./remote/remote-error.ts";
export { DEFAULT_REMOTE_LIMITS } from "./remote/remote-limits.ts";
export type { RemoteLimits } from "./remote/remote-limits.ts";
export type { GuardOptions, ResolveHost } from "./remote/endpoint-guard.ts";
export { a2aAgent } from "./remote/a2a-agent.ts";
export type { A2aAgentOptions } from "./remote/a2a-agent.ts";
export type { A2aFile } from "./remote/a2a-values.ts";
export { serveAgent } from "./serving/serve-agent.ts";
export { serveA2a } from "./serving/serve-a2a.ts";
export type { A2aServingOptions } from "./serving/serve-a2a.ts";
export { DEFAULT_SERVING_OPTIONS } from "./serving/serving-options.ts";
export type { ServingOptions } from "./serving/serving-options.ts";
export type { Authorize, CallerInfo, RequestHandler } from "./serving/http-door.ts";

// Commands
export { commandAgent } from "./command/command-agent.ts";
export type { CommandChunk } from "./command/command-agent.ts";
export { DEFAULT_COMMAND_OPTIONS } from "./command/command-options.ts";
export type { CommandAgentOptions } from "./command/command-options.ts";
export type { CommandResult, ExitCodes, ExitMeaning } from "./command/command-result.ts";
export { DEFAULT_INHERITED } from "./command/environment.ts";
