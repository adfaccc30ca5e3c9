/** Of what `orchestra/orchestrator` declares. The first number grows when something a caller relies on changes, the second when something is added. */
export const CONTRACT_VERSION = "1.0";
