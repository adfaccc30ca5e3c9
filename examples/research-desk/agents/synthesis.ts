import type { Checked, Dossier, Figures, From } from "../desk.ts";

/** The join: what was checked and what was counted become one dossier. */
export function createSynthesis() {
  return (arrivals: readonly From<Checked | Figures>[]): Dossier => {
    const values = arrivals.map(({ value }) => value);
    const checked = values.find((value) => value.kind === "facts");
    const counted = values.find((value) => value.kind === "figures");
    if (checked === undefined || counted === undefined) {
      throw new Error(
        `expected checked facts and figures, got ${arrivals.map(({ from }) => from).join(" and ") || "nothing"}`,
      );
    }
    const { evidence: _evidence, licences: _licences, ...findings } = counted.findings;
    const { evidence, licences, refused } = checked;
    return { findings, evidence, licences, refused, figures: { facets: counted.facets, licences: counted.licences } };
  };
}
