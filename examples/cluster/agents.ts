// What a host serves: `orchestra host --agents examples/cluster/agents.ts`.

import { createTeam } from "../research-desk/team.ts";

/** Milliseconds waited inside each step, so that there is time to pull a plug. */
const paceMs = Number(process.env["DESK_PACE_MS"] ?? 0);

export const agents = createTeam({ paceMs });
