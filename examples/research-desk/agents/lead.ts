import type { AgentContext } from "orchestra";

import type { AnalystReply, Brief, Findings, From, Plan } from "../desk.ts";
import { selectSubjects } from "../documents/evidence.ts";
import type { Shelf } from "../documents/library.ts";
import type { Facet } from "../documents/planning.ts";

type LeadContext = Pick<AgentContext, "replies" | "state">;

const SUBJECTS_MIN = 2;
const QUOTES_MIN = 3;

/**
 * The hub. Given a plan, it picks the candidates and briefs the analysts; woken by their replies, it puts these
 * together and judges whether they are enough.
 */
export function createLead(shelf: Shelf) {
  return async (input: Plan | readonly From<AnalystReply>[], ctx: LeadContext): Promise<Brief | Findings> => {
    if (!isReplies(input)) {
      const library = await shelf.get(input.indexed.library);
      const selecting = input.facets.find(({ kind }) => kind === "select");
      const candidates = selecting === undefined ? [] : selectSubjects(library, selecting);
      const brief: Brief = { ...input, candidates };
      // The replies will not repeat what they were asked.
      ctx.state.set("brief", brief);
      return brief;
    }
    const brief = ctx.state.get<Brief>("brief");
    if (brief === undefined) throw new Error("replies arrived, but no brief went out before them");
    return mergeReplies(
      brief,
      input.map(({ value }) => value),
    );
  };
}

export function mergeReplies(brief: Brief, replies: readonly AnalystReply[]): Findings {
  const evidence = replies.flatMap((reply) => (reply.kind === "self" || reply.kind === "quotes" ? reply.evidence : []));
  const licences = replies.flatMap((reply) => (reply.kind === "licences" ? reply.licences : []));
  const vocabulary = Object.assign(
    {},
    ...replies.map((reply) => (reply.kind === "vocabulary" ? reply.vocabulary : {})),
  );
  const found = { ...brief, evidence, licences, vocabulary };
  const shortOf = brief.facets.filter((facet) => !isAnswered(facet, found)).map(({ id }) => id);
  return { ...found, shortOf, route: shortOf.length > 0 ? "needs_more" : "enough" };
}

function isAnswered(facet: Facet, { evidence, licences, candidates }: Omit<Findings, "shortOf" | "route">): boolean {
  const own = evidence.filter(({ facetId }) => facetId === facet.id);
  const subjects = new Set(own.map(({ subject }) => subject)).size;
  switch (facet.kind) {
    case "select":
      return subjects >= SUBJECTS_MIN;
    case "licence":
      return licences.some(({ licence }) => licence !== null) || own.length > 0;
    case "quote":
      // Asked about each candidate: half of them should have something to say.
      return facet.refersBack ? subjects * 2 >= candidates.length && own.length > 0 : own.length >= QUOTES_MIN;
  }
}

function isReplies(input: Plan | readonly From<AnalystReply>[]): input is readonly From<AnalystReply>[] {
  return Array.isArray(input);
}
