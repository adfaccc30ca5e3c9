// What `orchestra/agents` offers.

// Model-backed agents
export type { LanguageModel } from "./model/language-model.ts";

// Tools
export { defineTool } from "./tools/define-tool.ts";
export type { ToolDefinition } from "./tools/define-tool.ts";
export { toolAgent } from "./tools/tool-agent.ts";
export type { ToolAgentOptions } from "./tools/tool-agent.ts";
export { callTool } from "./tools/tool-runner.ts";
export type { CallToolOptions, ToolCall, ToolOutcome } from "./tools/tool-runner.ts";
export { approvalReply, carryOver, takeCarried } from "./tools/approval.ts";
export type { ApprovalPrompt, ApprovalReply } from "./tools/approval.ts";
export type { JsonSchema, Tool, ToolContext, ToolPolicy, ToolSource } from "./tools/tool.ts";
