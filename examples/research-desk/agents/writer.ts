import { posix } from "node:path";

import type { AgentContext } from "orchestra";

import type { Claim, DeskTask, Dossier, FacetFigures, Report, Review } from "../desk.ts";
import { placeOf, type Citation } from "../documents/citations.ts";
import type { Facet } from "../documents/planning.ts";

/** The report in Markdown, with numbered sources. */
export function createWriter() {
  return ({ draft, notes }: Review, ctx: Pick<AgentContext, "task">): Report => {
    const { label } = ctx.task as DeskTask;
    const sources = new Sources();
    const { dossier, claims } = draft;
    const { facets, candidates } = dossier.findings;
    const body = [
      ...opening(dossier, claims),
      ...(candidates.length > 0 ? overview(dossier, claims, sources) : []),
      ...facets
        .filter((facet) => candidates.length === 0 || facet.kind === "quote")
        .flatMap((facet) => section(facet, claims, sources)),
      ...method(dossier, draft.revision, notes.length),
    ];
    const list = sources.all.map((citation, i) => `[${i + 1}] ${posix.join(label, placeOf(citation))}`);
    const licenceOf = new Map(dossier.licences.map(({ subject, licence }) => [subject, licence]));
    return {
      markdown: [...body, "## Sources", "", ...list.map((line) => `- ${line}`), ""].join("\n"),
      claims: claims.length,
      sources: sources.all,
      subjects: candidates.map(({ subject }) => ({ name: subject, licence: licenceOf.get(subject) ?? null })),
      openNotes: notes.length,
    };
  };
}

/** Numbers each place once, in the order of first use. */
class Sources {
  readonly #numbers = new Map<string, number>();
  readonly all: Citation[] = [];

  cite(citations: readonly Citation[]): string {
    return citations
      .map((citation) => {
        const place = placeOf(citation);
        const known = this.#numbers.get(place);
        if (known !== undefined) return `[${known}]`;
        this.all.push(citation);
        this.#numbers.set(place, this.all.length);
        return `[${this.all.length}]`;
      })
      .join("");
  }
}

function opening({ findings, figures }: Dossier, claims: readonly Claim[]): string[] {
  const { indexed, facets, candidates } = findings;
  const kind = indexed.packages > 0 ? "packages" : "documents";
  const total = indexed.packages > 0 ? indexed.packages : indexed.files;
  const says: string[] = [];
  if (candidates.length > 0) {
    const asked = facets.find((facet) => facet.kind === "select")?.text ?? indexed.question;
    says.push(
      `${candidates.length} of ${total} ${kind} fit “${asked}” by what they say of themselves: ${candidates.map(({ subject }) => subject).join(", ")}.`,
    );
  }
  const licences = figures.licences.map(({ licence, subjects }) => `${licence} (${subjects})`).join(", ");
  if (licences !== "") says.push(`Licences: ${licences}.`);
  for (const facet of facets.filter((one) => one.kind === "quote")) {
    const quoted = claims.filter((claim) => claim.facetId === facet.id && claim.citations.length > 0);
    const speaking = new Set(quoted.map(({ subject }) => subject)).size;
    const among =
      facet.refersBack && candidates.length > 0
        ? `${speaking} of these ${candidates.length}`
        : `${speaking} ${speaking === 1 ? kind.slice(0, -1) : kind}`;
    const has = speaking === 1 ? "has" : "have";
    says.push(
      `On “${facet.text}”, ${among} ${has} something to say (${quoted.length} ${quoted.length === 1 ? "passage" : "passages"}).`,
    );
  }
  return [`# ${indexed.question}`, "", ...says.map((line) => `- ${line}`), ""];
}

function overview({ findings, licences }: Dossier, claims: readonly Claim[], sources: Sources): string[] {
  const { candidates, facets } = findings;
  const selecting = facets.find(({ kind }) => kind === "select");
  const licensing = facets.find(({ kind }) => kind === "licence");
  const quoting = facets.filter(({ kind, refersBack }) => kind === "quote" && refersBack);
  const head = [
    "",
    "what it says it is",
    ...(licensing === undefined ? [] : ["licence"]),
    ...quoting.map(({ text }) => text),
  ];
  const rows = candidates.map(({ subject, version }) => {
    const own = (facetId: string | undefined): Claim[] =>
      claims.filter((claim) => claim.facetId === facetId && claim.subject === subject);
    const self = own(selecting?.id)
      .slice(0, 1)
      .map((claim) => `${cell(claim.citations[0]?.quote ?? "")} ${sources.cite(claim.citations)}`);
    const stated = own(licensing?.id)[0];
    const conflict = licences.find((one) => one.subject === subject)?.conflict;
    const licence =
      stated === undefined
        ? "not found"
        : `${stated.text ?? ""} ${sources.cite(stated.citations)}${conflict === undefined ? "" : " (!)"}`;
    const answers = quoting.map(({ id }) => {
      const quoted = own(id).flatMap(({ citations }) => citations);
      return quoted.length === 0 ? "nothing found" : sources.cite(quoted);
    });
    const name = version === undefined ? subject : `${subject} ${version}`;
    return [name, self.join("") || "–", ...(licensing === undefined ? [] : [licence]), ...answers];
  });
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return ["## Overview", "", line(head), line(head.map(() => "---")), ...rows.map(line), ""];
}

function section(facet: Facet, claims: readonly Claim[], sources: Sources): string[] {
  const own = claims.filter(({ facetId }) => facetId === facet.id);
  const out = [`## ${facet.text.charAt(0).toUpperCase()}${facet.text.slice(1)}`, ""];
  const subjects = [...new Set(own.filter(({ citations }) => citations.length > 0).map(({ subject }) => subject))];
  for (const subject of subjects) {
    out.push(`**${subject}**`, "");
    for (const { citations, text } of own.filter((claim) => claim.subject === subject && claim.citations.length > 0)) {
      out.push(`- ${text ?? `“${citations[0]?.quote ?? ""}”`} ${sources.cite(citations)}`);
    }
    out.push("");
  }
  const silent = own
    .filter(({ citations, subject }) => citations.length === 0 && subject !== "")
    .map(({ subject }) => subject);
  if (silent.length > 0) out.push(`Nothing found in the documents of ${silent.join(", ")}.`, "");
  for (const { text } of own.filter(({ citations, subject }) => citations.length === 0 && subject === ""))
    out.push(`${text ?? ""}`, "");
  return out;
}

function method({ findings, figures, refused }: Dossier, revisions: number, openNotes: number): string[] {
  const { indexed, breadth, facets, shortOf } = findings;
  const out = [
    "## How it was found",
    "",
    `- ${indexed.files} documents, ${Math.round(indexed.bytes / 1024)} KiB, ${indexed.passages} passages, ${indexed.terms} terms.`,
  ];
  if (indexed.skipped + indexed.cut > 0) out.push(`- ${indexed.skipped} files left out, ${indexed.cut} read in part.`);
  for (const facet of facets) {
    const figure = figures.facets.find(({ facetId }) => facetId === facet.id);
    if (figure !== undefined) out.push(`- “${facet.text}”: ${figureText(figure)}`);
  }
  const short =
    shortOf.length === 0
      ? ""
      : `; still short of evidence: ${facets
          .filter(({ id }) => shortOf.includes(id))
          .map(({ text }) => `“${text}”`)
          .join(", ")}`;
  out.push(
    `- Search widened ${times(breadth)}${short}. Draft revised ${times(revisions)}, ${openNotes} notes left open. ${refused.length} quotes refused by the fact checker.`,
    "",
  );
  return out;
}

function figureText({ passages, documents, subjects, terms }: FacetFigures): string {
  const carried = terms.map((one) => `${one.term} ${one.passages}`).join(", ");
  return `${passages} passages in ${documents} documents of ${subjects} subjects have its words${carried === "" ? "" : ` (passages by word stem: ${carried})`}.`;
}

function times(count: number): string {
  return count === 0 ? "not at all" : count === 1 ? "once" : `${count} times`;
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|");
}
