// The nats-server programs that tests, benchmarks and demonstrations run.
//
// Owns:      finding a program of a wanted version, or fetching it from the machine's own Debian mirror into a cache folder.
// Does not:  start one (nats.ts).
//
// P1  Nothing of the machine's is changed: apt works on lists, a cache and sources of its own, in a folder that is removed.
// P2  apt's checking of signatures stays on, whatever the machine's configuration says.
// P3  A program appears in the cache whole and tried, by one rename: who asks at the same time finds it, or makes the same one.

import { execFile } from "node:child_process";
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The versions we test against: a current one, the oldest that is supported, and one that is refused in a cluster. */
export const NATS_VERSIONS = ["2.15", "2.10", "2.9"] as const;
export type NatsVersion = (typeof NATS_VERSIONS)[number];

interface Kind {
  /** Debian's suite that has it. Suites move on: the newest there is taken. */
  readonly suite: string;
  readonly accepts: (version: string) => boolean;
  readonly expected: string;
}

const KINDS: Readonly<Record<NatsVersion, Kind>> = {
  "2.15": { suite: "sid", accepts: (version) => isAtLeast(version, "2.15.0"), expected: "2.15.0 or newer" },
  "2.10": {
    suite: "trixie",
    accepts: (version) => isAtLeast(version, OLDEST_SUPPORTED) && !isAtLeast(version, "2.11.0"),
    expected: "2.10.27 or a later 2.10",
  },
  "2.9": {
    suite: "bookworm",
    accepts: (version) => isAtLeast(version, "2.9.0") && !isAtLeast(version, "2.10.0"),
    expected: "any 2.9",
  },
};

const OLDEST_SUPPORTED = "2.10.27";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface NatsProgram {
  readonly path: string;
  /** As the program says it of itself, e.g. `2.10.27`. */
  readonly version: string;
  /** Where it was found. */
  readonly from: "NATS_SERVER" | "PATH" | "cache" | "Debian";
}

/**
 * A nats-server of the wanted version, or of any supported one: the one that `NATS_SERVER` names, or of `PATH`, where it
 * fits; else of the cache; else Debian's package, unpacked into the cache, which needs no rights but a network.
 *
 * The cache is `$ORCHESTRA_NATS_CACHE`, else `$XDG_CACHE_HOME/orchestra/nats-server`, else the same in `~/.cache`.
 *
 * @throws an `Error` with the line to type when there is none and none can be fetched, or when `NATS_SERVER` names what
 *   cannot be run or is older than 2.10.27.
 */
export async function findNatsProgram(wanted?: NatsVersion): Promise<NatsProgram> {
  const accepts = wanted === undefined ? isSupported : KINDS[wanted].accepts;
  const installed = await installedProgram(wanted, accepts);
  if (installed !== undefined) return installed;
  return cachedProgram(accepts) ?? (await fetchProgram(wanted ?? "2.15"));
}

async function installedProgram(
  wanted: NatsVersion | undefined,
  accepts: (version: string) => boolean,
): Promise<NatsProgram | undefined> {
  const named = process.env["NATS_SERVER"];
  if (named !== undefined && named !== "") {
    const version = await versionOf(named).catch((cause: unknown) => {
      throw new Error(`NATS_SERVER names "${named}", which does not run as a nats-server`, { cause });
    });
    if (accepts(version)) return { path: named, version, from: "NATS_SERVER" };
    // Asked for by name, it is not passed over in silence; a test for one version in particular looks further.
    if (wanted === undefined) {
      throw new Error(`NATS_SERVER names "${named}", which is ${version}; expected ${OLDEST_SUPPORTED} or newer`);
    }
  }
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, "nats-server");
    if (folder === "" || !isExecutable(path)) continue;
    const version = await versionOf(path).catch(() => undefined);
    if (version !== undefined && accepts(version)) return { path, version, from: "PATH" };
  }
  return undefined;
}

function cacheFolder(): string {
  const own = process.env["ORCHESTRA_NATS_CACHE"];
  if (own !== undefined && own !== "") return own;
  const shared = process.env["XDG_CACHE_HOME"];
  return join(shared === undefined || shared === "" ? join(homedir(), ".cache") : shared, "orchestra/nats-server");
}

function cachedProgram(accepts: (version: string) => boolean): NatsProgram | undefined {
  const folder = cacheFolder();
  const newest = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => /^\d+\.\d+\.\d+$/.test(name) && accepts(name))
    .sort((a, b) => (isAtLeast(a, b) ? -1 : 1))[0];
  return newest === undefined
    ? undefined
    : { path: join(folder, newest, "nats-server"), version: newest, from: "cache" };
}

async function fetchProgram(wanted: NatsVersion): Promise<NatsProgram> {
  // Of mode 755, so that apt can give up root's rights for the download, as it does where it can.
  const work = mkdtempSync(join(tmpdir(), "orchestra-nats-server-"));
  chmodSync(work, 0o755);
  try {
    const unpacked = join(await unpackFromDebian(KINDS[wanted].suite, work), "usr/sbin/nats-server");
    const version = await versionOf(unpacked);
    if (!KINDS[wanted].accepts(version)) {
      throw new Error(`Debian's ${KINDS[wanted].suite} has nats-server ${version}, expected ${KINDS[wanted].expected}`);
    }
    return { path: intoCache(unpacked, version), version, from: "Debian" };
  } catch (cause) {
    throw new Error(`no nats-server ${wanted} here, and none could be fetched; ${remedy(wanted)}`, { cause });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function intoCache(program: string, version: string): string {
  const folder = cacheFolder();
  mkdirSync(folder, { recursive: true });
  const fresh = mkdtempSync(join(folder, ".new-"));
  copyFileSync(program, join(fresh, "nats-server"));
  chmodSync(fresh, 0o755);
  const path = join(folder, version, "nats-server");
  try {
    renameSync(fresh, join(folder, version));
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(path)) throw error;
  }
  return path;
}

/** The folder that the newest nats-server of a suite is unpacked in. */
async function unpackFromDebian(suite: string, work: string): Promise<string> {
  if (!existsSync("/usr/bin/apt-get")) throw new Error("not a machine with apt-get");
  if (!existsSync(KEYRING)) {
    throw new Error(`${KEYRING} is missing: apt-get install debian-archive-keyring`);
  }
  const failures: Error[] = [];
  for (const mirror of await debianMirrors()) {
    try {
      return await unpackFromMirror(mirror, suite, work);
    } catch (error) {
      const { stderr } = error as { stderr?: string };
      const said = stderr ?? String(error);
      // A keyring older than the suite: apt says which key it lacks.
      const missing = /NO_PUBKEY/.test(said) ? "; the keyring is too old: apt-get install debian-archive-keyring" : "";
      failures.push(new Error(`${mirror} (${suite}): ${said.trim()}${missing}`));
    }
  }
  throw new AggregateError(
    failures,
    failures.map(({ message }) => message).join("\n") || "no Debian mirror in apt's sources",
  );
}

/** Where this machine gets Debian's own packages from: apt reads its sources, of either format, and names the addresses. */
async function debianMirrors(): Promise<readonly string[]> {
  const { stdout } = await run("apt-get", ["update", "--print-uris"]);
  const suites = new Set(["stable", "testing", "unstable", "sid", "oldstable"]);
  const codename = /^VERSION_CODENAME="?([a-z]+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (codename !== undefined) suites.add(codename);
  const found = [...stdout.matchAll(/^'([^']+?)\/dists\/([a-z]+)\/InRelease'/gm)];
  return [...new Set(found.filter(([, , suite]) => suites.has(suite!)).map(([, mirror]) => mirror!))];
}

async function unpackFromMirror(mirror: string, suite: string, work: string): Promise<string> {
  const folder = mkdtempSync(join(work, "apt-"));
  chmodSync(folder, 0o755);
  const at = (name: string) => join(folder, name);
  for (const name of ["lists/partial", "cache/archives/partial"]) mkdirSync(at(name), { recursive: true });
  writeFileSync(at("status"), "");
  writeFileSync(at("sources.list"), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  // Read after the machine's configuration, whose proxy and certificates hold, but whose hooks would clean the machine's cache.
  const settings = [
    "#clear APT::Update::Pre-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
    'APT::Update::Error-Mode "any";',
    'APT::Get::AllowUnauthenticated "false";',
    'Acquire::AllowInsecureRepositories "false";',
    'Acquire::AllowWeakRepositories "false";',
    'Acquire::Languages "none";',
    'Acquire::Retries "1";',
    'Acquire::http::Timeout "20";',
    'Acquire::https::Timeout "20";',
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::Etc::sourcelist "${at("sources.list")}";`,
    `Dir::State::lists "${at("lists")}";`,
    `Dir::State::status "${at("status")}";`,
    `Dir::Cache "${at("cache")}";`,
  ];
  writeFileSync(at("apt.conf"), settings.join("\n"));
  const apt = (...args: string[]) =>
    run("apt-get", ["-q", "-c", at("apt.conf"), ...args], { cwd: folder, env: { ...process.env, LC_ALL: "C" } });
  await apt("update");
  await apt("download", "nats-server");
  const deb = readdirSync(folder).find((name) => /^nats-server_.*\.deb$/.test(name));
  if (deb === undefined) throw new Error("apt-get downloaded no package");
  await run("dpkg-deb", ["-x", at(deb), at("unpacked")]);
  return at("unpacked");
}

function remedy(wanted: NatsVersion): string {
  const { expected } = KINDS[wanted];
  const install = {
    "2.15":
      process.platform === "darwin"
        ? "brew install nats-server"
        : "go install github.com/nats-io/nats-server/v2@latest",
    "2.10": "go install github.com/nats-io/nats-server/v2@v2.10.27",
    "2.9": "go install github.com/nats-io/nats-server/v2@v2.9.25",
  }[wanted];
  return `install one (${expected}) with \`${install}\`, and put it into PATH or name the program in NATS_SERVER`;
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await run(program, ["--version"], { timeout: 10_000 });
  const version = /^nats-server: v(\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`"${program} --version" says "${stdout.trim()}"`);
  return version;
}

function isSupported(version: string): boolean {
  return isAtLeast(version, OLDEST_SUPPORTED);
}

function isAtLeast(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) => text.split(".").map(Number));
  for (const [index, part] of b!.entries()) {
    if (a![index] !== part) return (a![index] ?? 0) > part;
  }
  return true;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
