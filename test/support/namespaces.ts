// Hosts of their own on one machine: network namespaces on one switch, with links that can be cut.
//
// Owns:      the namespaces, their addresses, which host reaches which; processes that are started on a host.
// Does not:  know NATS: a server is put on a host by `startNats({ ...host.place })`.
//
// Each host has one interface on a bridge, which is in a namespace too; this process is on the same bridge and reaches all of them.
// A cut gives both hosts a hardware address of the other that nobody has: packets are sent and vanish, as between machines.
// Connections stay open and learn nothing. Linux, root and iproute2 are needed.

import { type ChildProcess, execFile, spawn, type SpawnOptions } from "node:child_process";
import { randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";
import { endWithUs, temporaryNamespace } from "./leftovers.ts";

const run = promisify(execFile);

export interface Host<Name extends string = string> {
  readonly name: Name;
  readonly address: string;
  /** For `startNats` and the `places` of `startCluster`. */
  readonly place: { readonly host: string; readonly launcher: readonly string[] };
  /** Starts a program on the host; it ends with this process at the latest. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
}

/**
 * Hosts that all reach each other, and this process all of them.
 *
 * @throws an `Error` that says what is missing where this is not Linux, not root, or has no iproute2.
 */
export async function inNamespaces<Name extends string>(options: { hosts: readonly Name[] }): Promise<Network<Name>> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new Error("network namespaces need Linux and root: run this test by `sudo` or in CI");
  }
  await run("ip", ["-Version"]).catch((cause: unknown) => {
    throw new Error("network namespaces need `ip`: apt-get install iproute2", { cause });
  });
  const network = new Network(options.hosts);
  try {
    await network.open();
  } catch (cause) {
    await network[Symbol.asyncDispose]();
    const said = String((cause as { stderr?: string }).stderr ?? cause).trim();
    throw new Error(`no network namespace here, which needs the capabilities SYS_ADMIN and NET_ADMIN: ${said}`, {
      cause,
    });
  }
  return network;
}

/** Of locally administered addresses, one that no interface here has. */
const NOBODY = "02:00:00:00:00:01";

let made = 0;

export class Network<Name extends string> {
  readonly hosts: Readonly<Record<Name, Host<Name>>>;
  readonly #names: readonly Name[];
  readonly #subnet = freeSubnet();
  readonly #number = ++made;
  readonly #uplink = `o${process.pid}u${this.#number}`;
  readonly #opened: string[] = [];

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.hosts = Object.fromEntries(names.map((name, index) => [name, this.#hostOf(name, index)])) as Record<
      Name,
      Host<Name>
    >;
  }

  async open(): Promise<void> {
    const hub = await this.#addNamespace("switch");
    await run("ip", ["-n", hub, "link", "add", "bridge", "type", "bridge"]);
    await run("ip", ["-n", hub, "link", "set", "bridge", "up"]);
    await run("ip", ["link", "add", this.#uplink, "type", "veth", "peer", "name", "uplink", "netns", hub]);
    await run("ip", ["-n", hub, "link", "set", "uplink", "master", "bridge", "up"]);
    await run("ip", ["addr", "add", `${this.#subnet}.1/24`, "dev", this.#uplink]);
    await run("ip", ["link", "set", this.#uplink, "up"]);
    for (const [index, name] of this.#names.entries()) {
      const namespace = await this.#addNamespace(name);
      const port = `port${index}`;
      await run("ip", ["-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
      await run("ip", ["-n", hub, "link", "set", port, "master", "bridge", "up"]);
      await run("ip", ["-n", namespace, "addr", "add", `${this.hosts[name].address}/24`, "dev", "eth0"]);
      await run("ip", ["-n", namespace, "link", "set", "eth0", "up"]);
    }
  }

  /** Nothing passes between `a` and `b` any more, or between `a` and all other hosts. Done when it resolves. */
  async cut(a: Name, b?: Name): Promise<void> {
    for (const other of this.#others(a, b)) {
      await this.#neighbour("replace", a, other);
      await this.#neighbour("replace", other, a);
    }
  }

  /** Only what `from` sends to `to` vanishes. */
  async cutOneWay(from: Name, to: Name): Promise<void> {
    await this.#neighbour("replace", from, to);
  }

  /** What was cut between `a` and `b`, or between `a` and all other hosts, passes again. */
  async heal(a: Name, b?: Name): Promise<void> {
    for (const other of this.#others(a, b)) {
      await this.#neighbour("del", a, other).catch(ignoreAbsent);
      await this.#neighbour("del", other, a).catch(ignoreAbsent);
    }
  }

  /** Removes all of it. Processes that were started on a host have to be stopped before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run("ip", ["link", "del", this.#uplink]).catch(() => undefined);
    for (const namespace of this.#opened.splice(0)) await run("ip", ["netns", "del", namespace]);
  }

  #others(a: Name, b: Name | undefined): readonly Name[] {
    return b === undefined ? this.#names.filter((name) => name !== a) : [b];
  }

  async #neighbour(action: "replace" | "del", of: Name, other: Name): Promise<void> {
    const address = action === "replace" ? ["lladdr", NOBODY, "nud", "permanent"] : [];
    const { address: to } = this.hosts[other];
    await run("ip", ["-n", this.#namespaceOf(of), "neigh", action, to, ...address, "dev", "eth0"]);
  }

  #namespaceOf(name: string): string {
    return temporaryNamespace(`${this.#number}-${name}`);
  }

  async #addNamespace(name: string): Promise<string> {
    const namespace = this.#namespaceOf(name);
    await run("ip", ["netns", "add", namespace]);
    this.#opened.push(namespace);
    await run("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    return namespace;
  }

  #hostOf(name: Name, index: number): Host<Name> {
    const address = `${this.#subnet}.${index + 2}`;
    const launcher = ["ip", "netns", "exec", this.#namespaceOf(name)];
    return {
      name,
      address,
      place: { host: address, launcher },
      spawn: (command, args, options) => {
        const child = spawn(launcher[0]!, [...launcher.slice(1), command, ...args], options);
        if (child.pid !== undefined) child.once("exit", endWithUs(child.pid));
        return child;
      },
    };
  }
}

/** The first three numbers of a private network that no interface of this machine is in. */
function freeSubnet(): string {
  const taken = Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ address }) => address) ?? [],
  );
  for (;;) {
    const subnet = `10.${randomInt(64, 128)}.${randomInt(0, 256)}`;
    if (!taken.some((address) => address.startsWith(`${subnet}.`))) return subnet;
  }
}

function ignoreAbsent(error: unknown): void {
  if (!/No such file or directory/.test(String((error as { stderr?: string }).stderr))) throw error;
}
