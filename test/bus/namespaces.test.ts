import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { inNamespaces } from "../support/namespaces.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { startNats, until } from "../support/nats.ts";

const PROBE = `
const { connect } = require("node:net");
const socket = connect(Number(process.argv[2]), process.argv[1]);
socket.setEncoding("utf8");
socket.on("data", (text) => { for (const line of text.split("\\r\\n")) process.stdout.write(line.slice(0, 4) + "\\n"); });
socket.on("close", () => process.stdout.write("CLOSED\\n"));
socket.on("error", () => process.stdout.write("ERROR\\n"));
process.stdin.on("data", () => socket.write("PING\\r\\n"));
`;

describe("hosts in network namespaces", () => {
  it("lose all between two hosts while their link is cut, with open connections, and nothing after it is healed", async () => {
    await using network = await inNamespaces({ hosts: ["bus", "worker"] });
    await using server = await startNats({ ...network.hosts.bus.place, config: 'ping_interval: "10m"' });
    const probe = network.hosts.worker.spawn(process.execPath, ["-e", PROBE, server.host, String(server.port)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let said = "";
    probe.stdout!.on("data", (data) => (said += String(data)));
    const pongs = () => said.split("PONG").length - 1;
    await until("the worker is greeted", () => said.includes("INFO"));
    probe.stdin!.write("ask");
    await until("the worker is answered", () => pongs() === 1);
    await network.cut("bus", "worker");
    probe.stdin!.write("ask");
    await sleep(300);
    expect(pongs()).toBe(1);
    // This process is no host: it sees the server all the time.
    expect(await server.monitor("varz")).toMatchObject({ server_name: server.name, connections: 1 });
    await network.heal("bus", "worker");
    await until("the worker is answered again", () => pongs() === 2);
    expect(said).not.toMatch(/CLOSED|ERROR/);
    const ended = new Promise((resolve) => probe.once("exit", resolve));
    probe.kill("SIGKILL");
    await ended;
  });

  it("carry a cluster whose majority goes on when the leader of a stream is cut off", async () => {
    await using network = await inNamespaces({ hosts: ["a", "b", "c"] });
    const hosts = Object.values(network.hosts);
    await using cluster = await startCluster({ places: hosts.map(({ place }) => place) });
    const connection = await connect({ servers: [...cluster.urls] });
    await (await jetstreamManager(connection)).streams.add({ name: "KEPT", subjects: ["kept.>"], num_replicas: 3 });
    await connection.close();
    const old = await cluster.leaderOf("KEPT");
    const lost = hosts.find(({ address }) => address === old.host)!;
    await network.cut(lost.name);
    const majority = cluster.servers.filter((server) => server !== old);
    const others = await connect({ servers: majority.map(({ url }) => url), ignoreClusterUpdates: true });
    await until("the majority stores", () =>
      jetstream(others)
        .publish("kept.a", "one", { timeout: 500, msgID: "1" })
        .then(
          () => true,
          () => false,
        ),
    );
    await others.close();
    await network.heal(lost.name);
    await cluster.ready();
    const back = await connect({ servers: old.url });
    const jsm = await jetstreamManager(back);
    // Until it hears of the election, the old leader answers too, from what it had.
    await until("the stream holds the message", async () => (await jsm.streams.info("KEPT")).state.messages === 1);
    await back.close();
  });

  it("leave nothing behind on the machine", async () => {
    const listed = () => execFileSync("ip", ["netns", "list"], { encoding: "utf8" });
    const network = await inNamespaces({ hosts: ["alone"] });
    expect(listed()).toContain(`orch${process.pid}-`);
    await network[Symbol.asyncDispose]();
    expect(listed()).not.toContain(`orch${process.pid}-`);
  });
});
