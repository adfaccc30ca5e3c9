// Metrics server: what watches over a host asks it by HTTP. `/metrics` is Prometheus text; `/healthz` says whether it serves.

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { HostStatus, MetricsCollector, OrchestraHost } from "../index.ts";
import { UsageError } from "./exit-code.ts";

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface MetricsServerOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Default: this machine only. */
  readonly address?: string;
}

/** @throws {UsageError} when the port cannot be had. */
export async function serveMetrics(
  host: OrchestraHost,
  metrics: MetricsCollector,
  { port, address = "127.0.0.1" }: MetricsServerOptions,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "only GET\n");
    switch (request.url?.split("?")[0]) {
      case "/metrics":
        metrics.prometheus({ host: host.status() }).then(
          (text) => answer(response, 200, text, "text/plain; version=0.0.4; charset=utf-8"),
          (error: unknown) => answer(response, 500, `${error instanceof Error ? error.message : String(error)}\n`),
        );
        return;
      case "/healthz": {
        const health = healthOf(host.status());
        return answer(response, health.ok ? 200 : 503, `${JSON.stringify(health)}\n`, "application/json");
      }
      default:
        return answer(response, 404, "there are /metrics and /healthz\n");
    }
  });
  // Who asks sends next to nothing, and soon.
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 100;
  try {
    server.listen(port, address);
    await once(server, "listening");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--metrics-port ${port}: ${reason}`, { cause: error });
  }
  const at = server.address() as AddressInfo;
  return {
    url: `http://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function healthOf({ host, state, leaseHeld, bus }: HostStatus): { ok: boolean } & Partial<HostStatus> {
  return { ok: state === "serving" && leaseHeld && bus === "connected", host, state, leaseHeld, bus };
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type }).end(text);
}
