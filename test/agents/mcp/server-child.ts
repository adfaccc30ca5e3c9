// An MCP server with tools of all sorts, as a process. It appends what it does to the file of its first argument.
import { appendFileSync } from "node:fs";
import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

const [, , log = ""] = process.argv;
const note = (text: string): void => appendFileSync(log, `${text}\n`);
note(`started ${process.pid}`);

const server = new McpServer({ name: "bench", version: "1.0.0" });
const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

server.registerTool(
  "echo",
  { description: "says it again", inputSchema: z.object({ say: z.string() }), annotations: { readOnlyHint: true } },
  ({ say }) => text(say),
);
server.registerTool(
  "add",
  {
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    outputSchema: z.object({ sum: z.number() }),
    annotations: { destructiveHint: false, idempotentHint: true },
  },
  ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } }),
);
server.registerTool("delete", { inputSchema: z.object({ name: z.string() }) }, ({ name }) => {
  note(`deleted ${name}`);
  return text(`deleted ${name}`);
});
server.registerTool("fail", { annotations: { readOnlyHint: true } }, () => ({ ...text("no such row"), isError: true }));
server.registerTool("picture", { annotations: { readOnlyHint: true } }, () => ({
  content: [
    { type: "text", text: "a dot" },
    { type: "image", data: "AAAA", mimeType: "image/png" },
  ],
}));
server.registerTool("leak", { annotations: { readOnlyHint: true } }, () => ({
  ...text(`denied for ${process.env["TOKEN"]}`),
  isError: true,
}));
server.registerTool("env", { annotations: { readOnlyHint: true } }, () => text(JSON.stringify(process.env)));
server.registerTool("die", { annotations: { readOnlyHint: true } }, () => process.exit(3));
server.registerTool(
  "huge",
  { inputSchema: z.object({ bytes: z.number() }), annotations: { readOnlyHint: true } },
  ({ bytes }) => text("x".repeat(bytes)),
);
server.registerTool("wait", { annotations: { readOnlyHint: true } }, async (ctx) => {
  const { _meta: meta, signal, notify } = ctx.mcpReq;
  const progressToken = meta?.progressToken;
  if (progressToken !== undefined)
    await notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 2 } });
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  note("cancelled");
  return text("stopped");
});
server.registerTool("grow", { annotations: { readOnlyHint: true } }, () => {
  server.registerTool("grown", { annotations: { readOnlyHint: true } }, () => text("new"));
  return text("grew");
});

await server.connect(new StdioServerTransport());
