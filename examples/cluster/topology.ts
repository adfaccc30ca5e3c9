// What a client asks for: `orchestra run examples/cluster/topology.ts --task …`. The agents are with the hosts.

export { researchDesk as topology } from "../research-desk/topology.ts";
