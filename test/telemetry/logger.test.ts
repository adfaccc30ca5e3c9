import { describe, expect, it } from "vitest";

import { Orchestra } from "orchestra";
import { createLogger } from "orchestra/telemetry";

function written(): { lines: () => Record<string, unknown>[]; write: (line: string) => void } {
  const texts: string[] = [];
  return { write: (line) => void texts.push(line), lines: () => texts.map((text) => JSON.parse(text)) };
}

describe("createLogger", () => {
  it("has the ids on every line of an agent, and the session's on every line of its run", async () => {
    const destination = written();
    const logger = await createLogger({ level: "debug", destination, fields: { service: "desk" } });
    await Orchestra.run({
      task: "t",
      topology: { nodes: ["A"], edges: [] },
      agents: { A: (_, ctx) => ctx.logger.info({ found: 3 }, "searched") },
      sessionId: "s",
      logger,
    });
    const searched = destination.lines().find(({ msg }) => msg === "searched");
    expect(searched).toMatchObject({
      service: "desk",
      sessionId: "s",
      runId: expect.any(String),
      branchId: expect.any(String),
      stepId: expect.any(String),
      attempt: 1,
      node: "A",
      found: 3,
    });
    expect(destination.lines().filter((line) => line["sessionId"] === undefined)).toEqual([]);
  });

  it("shows no key, password or token, nor what it was told to hide", async () => {
    const destination = written();
    const logger = await createLogger({ destination, redact: ["customer.name"] });
    const hidden = {
      apiKey: "k1",
      config: { password: "k2", http: { authorization: "k3" } },
      customer: { name: "k4" },
    };
    logger.info({ ...hidden, shown: "yes" }, "called");
    logger.child({ token: "k5" }).info({}, "again");
    const text = JSON.stringify(destination.lines());
    expect(text).not.toMatch(/k\d/);
    expect(text).toContain('"shown":"yes"');
    expect(text).toContain("[redacted]");
  });

  it("refuses a level or a path that is none", async () => {
    await expect(createLogger({ level: "loud" })).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
    await expect(createLogger({ redact: ["a["] })).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
  });
});
