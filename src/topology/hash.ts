import { canonicalJson, sha256Hex } from "./plain-json.ts";
import type { TopologyData } from "./types.ts";

/**
 * The SHA-256, in hex, of what the topology means: the order of keys and the rules as written make no
 * difference (the effect of rules does), the order of nodes and edges does.
 */
export function hashTopology(data: TopologyData): string {
  return sha256Hex(canonicalJson({ ...data, rules: undefined }));
}
