// A model server in a process of its own. The name of the model says what to send: "p<pieces>-i<milliseconds between>". Each
// piece is the time at which it is sent, in nanoseconds of the clock that all processes of a machine share.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const server = createServer(async (incoming, response) => {
  let body = "";
  for await (const part of incoming) body += part;
  const { model } = JSON.parse(body);
  const [, pieces = "1", interval = "0"] = /^p(\d+)-i(\d+)$/.exec(model) ?? [];
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (delta, finish = null, more = {}) =>
    response.write(
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`,
    );
  for (let i = 0; i < Number(pieces); i++) {
    if (i > 0 && interval !== "0") await sleep(Number(interval));
    send({ role: "assistant", content: `${process.hrtime.bigint()} ` });
  }
  const usage = { prompt_tokens: 10, completion_tokens: Number(pieces), total_tokens: 10 + Number(pieces) };
  send({}, "stop", { usage });
  response.end("data: [DONE]\n\n");
});
server.listen(0, "127.0.0.1", () => process.send?.(server.address().port));
process.on("disconnect", () => process.exit());
