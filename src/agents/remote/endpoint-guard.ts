// Endpoint guard
//
// Owns:      which addresses a call may go to.
// Crossing:  agents → assertUrl(); the connection → lookup.
//
// G1  A name is judged by the very look-up its connection is made with: nothing is resolved anew between the check and
//     the connection, so a name that changes its mind (DNS rebinding) gains nothing.
// G2  An address is judged as what it reaches: IPv4 inside IPv6 in any of its notations counts as that IPv4 address.

import { lookup as systemLookup } from "node:dns/promises";
import type { LookupAddress } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";

import { OrchestraError } from "../../base/errors.ts";

/** Finds the addresses of a host name. Default: the system's resolver. */
export type ResolveHost = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface GuardOptions {
  /**
   * Hosts beyond the public internet that may be called: names (`agents.internal`), addresses (`127.0.0.1`) and blocks
   * (`10.1.0.0/16`, `fd00::/8`). A name that is listed may resolve to any address. Default: none.
   */
  readonly allow?: readonly string[];
  readonly resolve?: ResolveHost;
}

/**
 * What IANA's special-purpose registries (RFC 6890) do not call globally reachable, what leads from IPv6 to IPv4, and addresses
 * under which clouds serve their metadata.
 */
const REFUSED: readonly (readonly [kind: string, ...blocks: string[]])[] = [
  ["a loopback address", "127.0.0.0/8", "::1/128"],
  ["a private address", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"],
  ["a link-local address", "169.254.0.0/16", "fe80::/10"],
  ["an address of a provider's network", "100.64.0.0/10", "168.63.129.16/32"],
  ["no address of a host", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/96", "ff00::/8"],
  ["reserved", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ["reserved", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  // Of IPv6 only 2000::/3 is given to hosts of the public internet.
  ["reserved", "::/3", "4000::/2", "8000::/1"],
];

const REFUSED_LISTS = REFUSED.map(([kind, ...blocks]) => ({
  kind,
  ipv4: listOf(blocks.filter((block) => !block.includes(":"))),
  ipv6: listOf(blocks.filter((block) => block.includes(":"))),
}));
/** IPv4 inside IPv6: a `BlockList` compares it with blocks of IPv4. */
const MAPPED = listOf(["::ffff:0:0/96"]);

export class EndpointGuard {
  readonly #names: ReadonlySet<string>;
  readonly #allowed: BlockList;
  readonly #resolve: ResolveHost;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` for an entry of `allow` that is neither name, address nor block. */
  constructor({ allow = [], resolve = resolveBySystem }: GuardOptions = {}) {
    const blocks = allow.filter((entry) => isBlock(assertEntry(entry)));
    this.#names = new Set(allow.filter((entry) => !isBlock(entry)).map(plainName));
    this.#allowed = listOf(blocks);
    this.#resolve = resolve;
  }

  /** What can be said before any look-up. @throws {OrchestraError} `ORCH_ENDPOINT_REFUSED` */
  assertUrl({ protocol, hostname, pathname }: URL): void {
    if (protocol !== "http:" && protocol !== "https:")
      throw refused(`${protocol}//${hostname}${pathname}`, `the scheme "${protocol}" is not http or https`);
    const host = hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0) this.#assertAddress(host, host);
  }

  /** For `net.connect` and `http.request`: only addresses that may be called come out. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const find = callbackify(() => this.#addresses(hostname, options.family));
    find((error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error, []);
      else if (options.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
  };

  async #addresses(hostname: string, family: unknown): Promise<readonly LookupAddress[]> {
    const found = await this.#resolve(hostname);
    const wanted = family === 4 || family === 6 ? found.filter((one) => one.family === family) : found;
    if (wanted.length === 0) throw Object.assign(new Error(`no address found for ${hostname}`), { code: "ENOTFOUND" });
    if (this.#names.has(plainName(hostname))) return wanted;
    const fitting = wanted.filter(({ address }) => this.#verdict(address) === undefined);
    if (fitting.length === 0) for (const { address } of wanted) this.#assertAddress(hostname, address);
    return fitting;
  }

  #assertAddress(host: string, address: string): void {
    const kind = this.#verdict(address);
    if (kind !== undefined) throw refused(host, `${address} is ${kind}`, { host, address });
  }

  /** What speaks against the address, if anything. */
  #verdict(address: string): string | undefined {
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (isIP(address) === 0) return "no address";
    if (this.#allowed.check(address, family)) return undefined;
    const judged = family === "ipv6" && !MAPPED.check(address, family) ? "ipv6" : "ipv4";
    return REFUSED_LISTS.find((lists) => lists[judged].check(address, family))?.kind;
  }
}

function resolveBySystem(hostname: string): Promise<readonly LookupAddress[]> {
  return systemLookup(hostname, { all: true, verbatim: true });
}

function refused(what: string, why: string, details: Readonly<Record<string, unknown>> = {}): OrchestraError {
  return new OrchestraError(
    "ORCH_ENDPOINT_REFUSED",
    `${what}: ${why}, which is not called unless the option "allow" lists it`,
    { details },
  );
}

function listOf(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = "", prefix] = block.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    list.addSubnet(address, Number(prefix ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return list;
}

function isBlock(entry: string): boolean {
  return isIP(entry.split("/")[0] ?? "") !== 0;
}

/** Names are compared without case and without the dot of the root. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function assertEntry(entry: unknown): string {
  const fits = typeof entry === "string" && (isBlock(entry) ? isPrefix(entry) : /^[\w.-]+$/.test(entry));
  if (fits) return entry;
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `allow: expected names of hosts, addresses or blocks such as "10.1.0.0/16", got ${JSON.stringify(entry)}`,
  );
}

function isPrefix(block: string): boolean {
  const [address = "", prefix, ...more] = block.split("/");
  if (prefix === undefined) return true;
  return more.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (isIP(address) === 6 ? 128 : 32);
}
