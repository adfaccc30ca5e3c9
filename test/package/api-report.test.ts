// The contract of entry points that have one: what they declare is what docs/api says.

import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { CONTRACT_VERSION } from "orchestra/orchestrator";
import { apiReport, reportPath } from "../../scripts/api-report.ts";
import { ensureBuilt } from "./project.ts";

beforeAll(ensureBuilt);

it("orchestra/orchestrator declares what docs/api/orchestrator.d.ts.txt says; if that is meant: npm run api-report, and CONTRACT_VERSION", () => {
  const path = reportPath("orchestrator");
  expect(apiReport("orchestrator")).toBe(existsSync(path) ? readFileSync(path, "utf8") : "");
});

it("its version is in its report", () => {
  expect(readFileSync(reportPath("orchestrator"), "utf8")).toContain(`CONTRACT_VERSION = "${CONTRACT_VERSION}"`);
});
