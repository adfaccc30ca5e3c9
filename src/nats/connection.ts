// Connection
//
// Owns:      the first connection to NATS, and how the client behaves afterwards.
// Does not:  watch it (link.ts) or ask what stands on the server (assets-admin.ts).
//
// Once connected the client reconnects for ever. What it had not sent yet is then gone: whoever needs an
// acknowledgement asks again, everything else is a hint.

import { readFileSync } from "node:fs";
import {
  connect,
  credsAuthenticator,
  errors,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
  type Authenticator,
  type NatsConnection,
} from "@nats-io/transport-node";
import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Authentication, ConnectSettings } from "./options.ts";

const RETRY_MS = 250;
const HANDSHAKE_MS_MAX = 5_000;
/** Pings that may be open. More than one, since a blocked event loop sees its timer before the answer. */
const PINGS_OPEN_MAX = 3;

/**
 * The first connection, tried again for `connectTimeoutMs` while nobody answers.
 *
 * @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`, `ORCH_BUS_DENIED`, `ORCH_BAD_OPTION` (a file that cannot be read).
 */
export async function openConnection(settings: ConnectSettings, clock: Clock): Promise<NatsConnection> {
  const untilMs = clock.monotonicMs() + settings.connectTimeoutMs;
  for (;;) {
    try {
      return await connectOnce(settings);
    } catch (error) {
      const final = finalError(error, settings);
      if (final !== undefined) throw final;
      if (clock.monotonicMs() + RETRY_MS > untilMs) throw unreachable(error, settings);
      await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
    }
  }
}

function connectOnce(settings: ConnectSettings): Promise<NatsConnection> {
  const authenticator = authenticatorOf(settings.authentication);
  for (const option of ["caFile", "certFile", "keyFile"] as const) {
    const file = settings.tls?.[option];
    if (file !== undefined) readSecret(`tls.${option}`, file);
  }
  return connect({
    servers: [...settings.servers],
    name: settings.name,
    inboxPrefix: settings.inboxPrefix,
    timeout: Math.min(HANDSHAKE_MS_MAX, settings.connectTimeoutMs),
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    reconnectJitter: RETRY_MS,
    ignoreAuthErrorAbort: true,
    pingInterval: (2 * settings.pingIntervalMs) / (PINGS_OPEN_MAX + 1),
    maxPingOut: PINGS_OPEN_MAX,
    noAsyncTraces: true,
    ...(authenticator !== undefined && { authenticator }),
    ...(settings.tls !== undefined && { tls: settings.tls }),
  });
}

/** Files are read now, so that a wrong path is told, and at each connect, so that they may be rotated. */
function authenticatorOf(by: Authentication): Authenticator | undefined {
  switch (by.by) {
    case "none":
      return undefined;
    case "user":
      return usernamePasswordAuthenticator(by.user, by.pass);
    case "token":
      return tokenAuthenticator(by.token);
    case "creds":
      assertCreds(readSecret("creds", by.file), by.file);
      return (nonce) => credsAuthenticator(readSecret("creds", by.file))(nonce);
    case "nkey":
      seedIn(readSecret("nkey", by.file), by.file);
      return (nonce) => nkeyAuthenticator(seedIn(readSecret("nkey", by.file), by.file))(nonce);
  }
}

function readSecret(option: string, file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new OrchestraError("ORCH_BAD_OPTION", `natsBus.${option}: ${file} cannot be read`, { cause: error });
  }
}

function seedIn(read: Uint8Array, file: string): Uint8Array {
  const found = /S[A-Z2-7]{57}/.exec(Buffer.from(read).toString("utf8"));
  if (found === null) throw new OrchestraError("ORCH_BAD_OPTION", `natsBus.nkey: ${file} holds no seed (SU…)`);
  return Buffer.from(found[0]);
}

/** The client would only say later, and to nobody, that it finds nothing in it. */
function assertCreds(read: Uint8Array, file: string): void {
  if (/-----BEGIN NATS USER JWT-----[^]*?S[A-Z2-7]{57}/.test(Buffer.from(read).toString("utf8"))) return;
  throw new OrchestraError("ORCH_BAD_OPTION", `natsBus.creds: ${file} holds no JWT and seed, as "nsc" writes them`);
}

/** What no second try would change. */
function finalError(error: unknown, settings: ConnectSettings): unknown {
  if (error instanceof OrchestraError) return error;
  const at = settings.servers.join(", ");
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return new OrchestraError(
      "ORCH_BUS_DENIED",
      `NATS at ${at} refuses ${describe(settings.authentication)}: ${error.message}`,
      { cause: error, details: { servers: settings.servers } },
    );
  const why = messagesOf(error);
  if (/altnames/i.test(why))
    return new OrchestraError(
      "ORCH_BUS_UNREACHABLE",
      `no TLS connection to NATS at ${at}: ${why}; address each server by a name in its certificate, not by an IP address`,
      { cause: error, details: { servers: settings.servers } },
    );
  if (/certificate|self.signed|ERR_TLS|SSL|wrong version number|UNABLE_TO_VERIFY|'tls'|tls_required/i.test(why))
    return new OrchestraError(
      "ORCH_BUS_UNREACHABLE",
      `no TLS connection to NATS at ${at}: ${why}; "tls.caFile" names the authority to trust, ` +
        `"tls.certFile" and "tls.keyFile" what the server asks of clients`,
      { cause: error, details: { servers: settings.servers } },
    );
  return undefined;
}

function unreachable(error: unknown, { servers, tls, connectTimeoutMs }: ConnectSettings): OrchestraError {
  const byTls = tls !== undefined || servers.some((server) => server.startsWith("tls:"));
  return new OrchestraError(
    "ORCH_BUS_UNREACHABLE",
    `no NATS server answered within ${connectTimeoutMs} ms at ${servers.join(", ")}: ${messagesOf(error)}; ` +
      `is it running there ("nats-server -js"), and can this machine reach it?` +
      // The handshake of TLS 1.3 is over for the client before the server has judged it.
      (byTls
        ? ` If it asks clients for a certificate, "tls.certFile" and "tls.keyFile" name one by an authority that it trusts`
        : ""),
    { cause: error, details: { servers, connectTimeoutMs } },
  );
}

function describe(by: Authentication): string {
  switch (by.by) {
    case "none":
      return "a connection without credentials (give user and pass, creds, nkey or token)";
    case "user":
      return `user "${by.user}"`;
    case "token":
      return "the token";
    case "creds":
    case "nkey":
      return `the ${by.by} in ${by.file}`;
  }
}

function messagesOf(error: unknown): string {
  const parts: string[] = [];
  for (let one: unknown = error; one instanceof Error && parts.length < 4; one = one.cause)
    if (!parts.includes(one.message)) parts.push(one.message);
  return parts.join(": ") || String(error);
}
