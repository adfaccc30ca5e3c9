import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { startCluster } from "../support/nats-cluster.ts";
import { NATS_VERSIONS } from "../support/nats-program.ts";
import { until } from "../support/nats.ts";

describe("a cluster of nats-servers for tests", () => {
  it.each(NATS_VERSIONS)(
    "of %s is led by one server when it is handed out, and takes a stream of three copies at once",
    async (version) => {
      await using cluster = await startCluster({ version });
      const connection = await connect({ servers: [...cluster.urls], maxReconnectAttempts: -1 });
      const jsm = await jetstreamManager(connection);
      const { cluster: placed } = await jsm.streams.add({ name: "KEPT", subjects: ["kept.>"], num_replicas: 3 });
      expect(placed?.replicas).toHaveLength(2);
      expect((await cluster.leaderOf("KEPT")).name).toBe((await jsm.streams.info("KEPT")).cluster?.leader);
      await connection.close();
    },
  );

  it("elects another leader when the one of a stream is killed, keeps what was acknowledged, and takes the killed one back", async () => {
    await using cluster = await startCluster();
    const connection = await connect({ servers: [...cluster.urls], maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const jsm = await jetstreamManager(connection);
    await jsm.streams.add({ name: "KEPT", subjects: ["kept.>"], num_replicas: 3 });
    // Servers learn one after the other that the stream listens; a client of one that has not yet is told that nobody does.
    const kept = () =>
      jetstream(connection)
        .publish("kept.a", "one", { msgID: "one" })
        .then(Boolean, () => false);
    await until("the message is acknowledged", kept);
    const killed = await cluster.killLeader("KEPT");
    await cluster.ready();
    const next = await cluster.leaderOf("KEPT");
    expect(next.name).not.toBe(killed.name);
    await connection.close();
    const again = await connect({ servers: next.url });
    const manager = await jetstreamManager(again);
    // A leader may be elected before it has applied all that it stores.
    await until("the message is there", async () => (await manager.streams.info("KEPT")).state.messages === 1);
    await again.close();
    await killed.restart();
    await cluster.ready();
    expect(cluster.running).toHaveLength(3);
  });
});
