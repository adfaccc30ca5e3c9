import type { Indexed, Plan } from "../desk.ts";
import type { Shelf } from "../documents/library.ts";
import { planFacets } from "../documents/planning.ts";

/** Takes the question apart. */
export function createPlanner(shelf: Shelf) {
  return async (indexed: Indexed): Promise<Plan> => {
    const { index } = await shelf.get(indexed.library);
    const facets = planFacets(indexed.question, (term) => index.documentFrequency(term) > 0);
    return { indexed, facets, breadth: 0 };
  };
}
