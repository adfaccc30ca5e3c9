import { AgentPool, next, Orchestra, type AgentContext } from "orchestra";

await using browsers = new AgentPool({
  name: "Browser",
  size: 2,
  create: () => ({
    run: async (url: string) => {
      await new Promise(setImmediate);
      return `${url} seen`;
    },
    close: () => console.log("browser closed"),
  }),
  dispose: (browser) => browser.close(),
});

function crawler(urls: unknown, ctx: AgentContext): unknown {
  if (ctx.replies !== undefined) return ctx.replies.map((reply) => reply.value);
  return next.parallel(
    String(urls)
      .split(" ")
      .map((url) => ({ agent: "Browser", input: url })),
  );
}

const result = await Orchestra.run({
  task: "a.example b.example c.example",
  topology: { nodes: ["Crawler", "Browser"], edges: ["Crawler <-> Browser"] },
  agents: { Crawler: crawler, Browser: browsers },
});

console.log(result.orThrow().finalResponse);
console.log("most at one time:", browsers.statistics().peakInUse);
