// How soon a host that died is missed. Short, so that there is little to wait for; 15 s and 4 s are the defaults, and what
// a cluster of several servers needs to outlast the election of a new leader.

export const LEASE_MS = 4_000;
export const RENEW_MS = 1_000;
