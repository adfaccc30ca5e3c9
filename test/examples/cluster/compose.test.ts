// docker-compose.yml: its services and the files they name. What they run is tried without Docker in cluster.test.ts and test/nats.

import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { temporaryFolder } from "../../support/leftovers.ts";
import { findNatsProgram } from "../../support/nats-program.ts";

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly configs?: readonly { readonly source: string }[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly configs: Readonly<Record<string, unknown>>;
}

const root = new URL("../../../", import.meta.url);
const file = readFileSync(new URL("docker-compose.yml", root), "utf8");
const { services, configs } = parse(file, { merge: true }) as Compose;

describe("docker-compose.yml", () => {
  it("has three servers, three hosts, a client and Prometheus", () => {
    expect(Object.keys(services)).toEqual(
      expect.arrayContaining(["nats-1", "nats-2", "nats-3", "host-1", "host-2", "host-3", "client", "prometheus"]),
    );
  });

  it("lets Prometheus ask every host, where the host listens", () => {
    const { content } = configs["prometheus"] as { content: string };
    const { scrape_configs } = parse(content) as { scrape_configs: { static_configs: { targets: string[] }[] }[] };
    const asked = scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets));
    const hosts = Object.entries(services).filter(([, { command = [] }]) => command[0] === "host");
    expect(hosts).toHaveLength(3);
    for (const [name, { command = [] }] of hosts)
      expect(asked).toContain(`${name}:${command[command.indexOf("--metrics-port") + 1]}`);
  });

  it("names its images by exact versions", () => {
    const images = Object.values(services).flatMap(({ image }) => image ?? []);
    expect(images).toHaveLength(5);
    for (const image of images) expect(image).toMatch(/^[\w/-]+:v?\d+\.\d+\.\d+(-\w+)?$/);
  });

  it("configures the servers in a way that a real one accepts", async () => {
    const { content } = configs["nats"] as { content: string };
    const config = join(temporaryFolder("compose"), "nats.conf");
    writeFileSync(config, content);
    const { path } = await findNatsProgram("2.15");
    const check = async (): Promise<string> => (await promisify(execFile)(path, ["-t", "-c", config])).stderr;
    expect(await check()).toMatch(/configuration file .* is valid/);
    writeFileSync(config, content.replace("store_dir", "storage_folder"));
    await expect(check()).rejects.toThrow(/storage_folder/);
  });

  it("names only services, configurations and files that there are", () => {
    for (const { command = [], depends_on = [], configs: used = [] } of Object.values(services)) {
      for (const name of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on))
        expect(services).toHaveProperty([name]);
      for (const { source } of used) expect(configs).toHaveProperty(source);
      for (const word of command.filter((one) => one.startsWith("examples/")))
        expect(existsSync(fileURLToPath(new URL(word, root))), word).toBe(true);
    }
  });
});
