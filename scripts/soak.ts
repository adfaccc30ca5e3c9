// Runs whole simulated systems from one seed after another, for as long as somebody has time.

import { parseArgs } from "node:util";

import { describeFailingSeed, type SimulationReport } from "../src/testing/simulation/campaign.ts";
import { DEFAULT_FAULT_RATES, parseFault, ratesOf } from "../src/testing/simulation/faults.ts";
import { randomSystems, simulateRandomSystems } from "../src/testing/simulation/random-system.ts";
import { runSeed } from "../src/testing/simulation/world.ts";

const USAGE = `Runs whole simulated systems, one from each seed.

  npm run soak -- --seeds 10000 [--from 1] [--hosts 4]
  npm run soak -- --seed 4711 [--hosts 4] [--faults process-crash:3,power-loss:0 | --faults none]
                  [--without session:s1,edge:0.2] [--trace]`;

const values = readOptions();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        seeds: { type: "string", default: "1000" },
        from: { type: "string", default: "1" },
        hosts: { type: "string", default: "1" },
        seed: { type: "string" },
        faults: { type: "string" },
        without: { type: "string", default: "" },
        trace: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function list(text: string): readonly string[] {
  return text === "" || text === "none" ? [] : text.split(",");
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`--${name}: expected a whole number from 0, got "${text}"`);
  process.exit(2);
}

const first = wholeNumber("from", values.seed ?? values.from);
const count = values.seed === undefined ? wholeNumber("seeds", values.seeds) : 1;
const faults = values.faults === undefined ? DEFAULT_FAULT_RATES : list(values.faults);
const without = list(values.without);
const hosts = wholeNumber("hosts", values.hosts);

if (values.trace) {
  const exactly =
    values.faults === undefined ? undefined : list(values.faults).flatMap((name) => parseFault(name) ?? []);
  const { trace } = await runSeed(randomSystems(hosts).scenario(first, new Set(without)), {
    seed: first,
    rates: ratesOf(first, DEFAULT_FAULT_RATES),
    traced: true,
    ...(exactly !== undefined && { only: exactly }),
  });
  console.log(trace?.join("\n"));
}

const startedAtMs = Date.now();
let done = 0;
const report = await simulateRandomSystems({
  seeds: Array.from({ length: count }, (_, i) => first + i),
  faults,
  without,
  hosts,
  // A seed that is replayed is as small as it is to be.
  shrink: values.faults === undefined,
  onSeed(result) {
    if (result.findings.length > 0) console.log(`seed ${result.seed} fails; making it small`);
    if (++done % 500 === 0) console.log(`${done} seeds, ${Math.round((Date.now() - startedAtMs) / 1_000)} s`);
  },
});
print(report);
process.exitCode = report.findings.length > 0 ? 1 : 0;

function print({ findings, ...total }: SimulationReport): void {
  console.log({
    ...total,
    simulatedHours: Math.round(total.simulatedMs / 3_600_000),
    seconds: (Date.now() - startedAtMs) / 1_000,
  });
  for (const failing of findings) console.log(describeFailingSeed(failing));
  console.log(findings.length === 0 ? "everything held" : `${findings.length} seeds failed`);
}
