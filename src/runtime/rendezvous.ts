// Rendezvous: in which order hosts try to take a session over, the same wherever it is asked.

/**
 * Place of `host` among `hosts` for `key`, from 0; each key has an order of its own, and a host that goes leaves that of
 * the others as it is. -1 when it is none of them. Highest random weight, after Thaler and Ravishankar (1998).
 */
export function placeInLine(key: string, host: string, hosts: readonly string[]): number {
  const own = weight(key, host);
  let place = 0;
  let found = false;
  for (const other of hosts) {
    if (other === host) found = true;
    else if (isBefore(weight(key, other), other, own, host)) place++;
  }
  return found ? place : -1;
}

function isBefore(aWeight: number, a: string, bWeight: number, b: string): boolean {
  return aWeight === bWeight ? a < b : aWeight > bWeight;
}

/** FNV-1a over both names, stirred at the end: names that differ in their last character only must not stay neighbours. */
function weight(key: string, host: string): number {
  let hash = 0x811c9dc5;
  const text = `${key}\n${host}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
