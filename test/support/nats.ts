// A real nats-server for a test, a benchmark or a demonstration.
//
// Owns:      one server process, its folder, its port; signals to it; when it is ready.
// Does not:  find the program (nats-program.ts) or put servers together (nats-cluster.ts).
//
// N1  A server is handed out, or said to be restarted, only when it greets on its port and its JetStream is up.
// N2  The port and the store stay the same through every kill and restart.
// N3  Neither process nor folder outlives the process that started it (leftovers.ts).

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endWithUs, temporaryFolder } from "./leftovers.ts";
import { findNatsProgram, type NatsProgram, type NatsVersion } from "./nats-program.ts";
import { freePorts } from "./ports.ts";

/** How long a server may take to be ready, or to end, before the test is told what it logged. */
export const PATIENCE_MS = 90_000;

export interface NatsOptions {
  /** Default: any that is supported, one that is installed first. */
  version?: NatsVersion;
  /** Default true. */
  jetstream?: boolean;
  /** Syncs every write of JetStream to the disk before it is acknowledged. Default false. Not in 2.9. */
  syncAlways?: boolean;
  /** Lines for the configuration file, e.g. `authorization { token: "s3cret" }`. */
  config?: string;
  /** Paths of PEM files. With `ca`, clients must show a certificate by it. */
  tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Default `127.0.0.1`. */
  host?: string;
  /** Default: a free one, also for the monitoring. */
  port?: number;
  monitorPort?: number;
  /** The server's own name. Default `server-<port>`. */
  name?: string;
  /** Where JetStream keeps its files. Default: in the server's own folder. */
  storeFolder?: string;
  /** Put before the program, e.g. `["ip", "netns", "exec", "a"]`. */
  launcher?: readonly string[];
}

/** Starts a server on the loopback. Resolves when it takes clients. @throws an `Error` with its log when it does not start. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const server = await createNats(options);
  await server.start();
  return server;
}

/** A server that is not started yet: a cluster starts its members together. */
export async function createNats(options: NatsOptions): Promise<NatsServer> {
  const program = await findNatsProgram(options.version);
  if (options.syncAlways === true && program.version.startsWith("2.9.")) {
    throw new Error(`nats-server ${program.version} has no sync_interval; expected 2.10 or newer for syncAlways`);
  }
  const [port, monitorPort] = await freePorts(2);
  return new NatsServer(program, {
    ...options,
    port: options.port ?? port!,
    monitorPort: options.monitorPort ?? monitorPort!,
  });
}

type Placed = NatsOptions & { readonly port: number; readonly monitorPort: number };

export class NatsServer {
  readonly program: NatsProgram;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly url: string;
  readonly folder: string;
  readonly configFile: string;
  readonly #launcher: readonly string[];
  readonly #jetstream: boolean;
  #running: { readonly child: ChildProcess; readonly pid: number; readonly ended: Promise<void> } | undefined;

  constructor(program: NatsProgram, options: Placed) {
    this.program = program;
    this.name = options.name ?? `server-${options.port}`;
    this.host = options.host ?? "127.0.0.1";
    this.port = options.port;
    this.monitorPort = options.monitorPort;
    this.url = `${options.tls === undefined ? "nats" : "tls"}://${this.host}:${this.port}`;
    this.folder = temporaryFolder(this.name);
    this.configFile = join(this.folder, "nats.conf");
    this.#launcher = options.launcher ?? [];
    this.#jetstream = options.jetstream ?? true;
    writeFileSync(this.configFile, configuration(options, this));
  }

  /** Of the running server. @throws an `Error` when it is not running. */
  get pid(): number {
    if (this.#running === undefined) throw new Error(`nats-server "${this.name}" is not running`);
    return this.#running.pid;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** All it has logged, over all its starts. */
  get logs(): string {
    const path = join(this.folder, "server.log");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async start(): Promise<void> {
    await this.launch();
    await this.ready();
  }

  /** Starts the process without waiting for anything but its number. */
  async launch(): Promise<void> {
    if (this.#running !== undefined) throw new Error(`nats-server "${this.name}" is running already`);
    const [command, ...args] = [...this.#launcher, this.program.path, "-c", this.configFile];
    // Into a file: a pipe would stop the server while this process' event loop is blocked.
    const log = openSync(join(this.folder, "server.log"), "a");
    const child = spawn(command!, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    await new Promise((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    const pid = child.pid!;
    const forget = endWithUs(pid);
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => {
        forget();
        this.#running = undefined;
        resolve();
      });
    });
    this.#running = { child, pid, ended };
  }

  /** Resolves when the server greets on its port, and its JetStream is up where it has one. */
  async ready(): Promise<void> {
    await until(
      `nats-server "${this.name}" takes clients`,
      () => this.#greets(),
      () => this.#assertAlive(),
    );
  }

  /** Ends it in order: what JetStream holds is written. Ending twice does nothing. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#end("SIGINT");
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Kills it if it runs, and starts it again on the same port and store. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** SIGSTOP: connections stay open, nothing moves. Resolves once it stands still. */
  async freeze(): Promise<void> {
    process.kill(this.pid, "SIGSTOP");
    await until(`nats-server "${this.name}" stands still`, () => isStopped(this.pid));
  }

  /** SIGCONT. */
  thaw(): void {
    if (this.#running !== undefined) process.kill(this.pid, "SIGCONT");
  }

  /** Takes up a changed configuration file without a restart (SIGHUP): users and permissions, not ports. */
  async reload(): Promise<void> {
    const before = this.logs.length;
    process.kill(this.pid, "SIGHUP");
    await until(`nats-server "${this.name}" reloads`, () => {
      const said = this.logs.slice(before);
      if (/Failed to reload/.test(said)) throw new Error(said);
      return /Reloaded server configuration/.test(said);
    });
  }

  /** What the monitoring says, e.g. of `jsz?streams=true`; `undefined` while nobody answers there. */
  async monitor(path: string): Promise<unknown> {
    try {
      const answer = await fetch(`http://${this.host}:${this.monitorPort}/${path}`, {
        signal: AbortSignal.timeout(2_000),
      });
      return await answer.json();
    } catch {
      return undefined;
    }
  }

  /** Stops it and removes its store and logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #greets(): Promise<boolean> {
    const greeting = await greetingOf(this.host, this.port);
    if (greeting === undefined) return false;
    const info = JSON.parse(greeting) as { server_name: string; jetstream?: boolean };
    if (info.server_name !== this.name) {
      throw new Error(`port ${this.port} is taken by "${info.server_name}", not "${this.name}"`);
    }
    return !this.#jetstream || info.jetstream === true;
  }

  #assertAlive(): void {
    if (this.#running === undefined) throw new Error(`nats-server "${this.name}" ended:\n${this.logs}`);
  }

  async #end(signal: "SIGINT" | "SIGKILL"): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.child.kill(signal);
    const late = AbortSignal.timeout(PATIENCE_MS);
    await Promise.race([
      running.ended,
      new Promise((_resolve, reject) => {
        late.addEventListener("abort", () => reject(new Error(`nats-server "${this.name}" did not end by ${signal}`)));
      }),
    ]);
  }
}

/**
 * Asks again every 10 ms until the answer is yes.
 *
 * @param check Throws to give up at once.
 * @throws an `Error` naming `what` after `patienceMs`, 90 seconds unless said.
 */
export async function until(
  what: string,
  answer: () => boolean | Promise<boolean>,
  check?: () => void,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    check?.();
    if (await answer()) return;
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs / 1000} s in vain until ${what}`);
    await sleep(10);
  }
}

function configuration(options: Placed, server: NatsServer): string {
  const lines = [
    `server_name: ${JSON.stringify(server.name)}`,
    `listen: "${server.host}:${server.port}"`,
    `http: "${server.host}:${server.monitorPort}"`,
  ];
  if (options.jetstream ?? true) {
    const sync = options.syncAlways === true ? ", sync_interval: always" : "";
    const store = JSON.stringify(options.storeFolder ?? join(server.folder, "store"));
    lines.push(`jetstream { store_dir: ${store}, max_memory_store: 1GB, max_file_store: 10GB${sync} }`);
  }
  if (options.tls !== undefined) {
    const { cert, key, ca } = options.tls;
    const verify = ca === undefined ? "" : `, ca_file: ${JSON.stringify(ca)}, verify: true`;
    lines.push(`tls { cert_file: ${JSON.stringify(cert)}, key_file: ${JSON.stringify(key)}${verify} }`);
  }
  return [...lines, options.config ?? "", ""].join("\n");
}

/** The JSON of the line `INFO {…}` that a server opens each connection with; `undefined` when there is none. */
function greetingOf(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host, port });
    socket.setTimeout(2_000, () => socket.destroy());
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\r\n")) socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(/^INFO (.*)\r\n/.exec(text)?.[1]));
  });
}

function isStopped(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  // Without /proc the signal alone has to do.
  if (!existsSync("/proc/self/stat")) return true;
  return /\) [Tt] /.test(readFileSync(path, "utf8"));
}
