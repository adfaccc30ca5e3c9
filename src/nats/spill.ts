// Spill
//
// Payloads too large for one message, kept by content in chunks. What travels is a reference.
//
// S1  The chunks are stored before the reference is handed out.
// S2  What comes back is checked against its hash; a chunk that is missing or changed is ORCH_BUS_PAYLOAD.

import { z } from "zod";
import { ENCODED_BYTES_MAX, encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { isOrchestraError } from "../base/errors.ts";
import { busError, isUnanswered } from "./bus-errors.ts";
import type { NatsLink } from "./link.ts";
import { decodeAs, decodeForeign, decodePayload, encodeAs, payloadKind, unreadable } from "./wire.ts";

export const SPILL_ABOVE_BYTES = 256 * 1024;
const CHUNK_BYTES = 512 * 1024;
/** A replica that lags behind catches up within a moment. */
const LOAD_TRIES = 6;
const LOAD_RETRY_MS = 100;

export interface Spill {
  /** @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE` above 64 MiB, `ORCH_BUS_UNREACHABLE`. */
  pack(value: unknown): Promise<Uint8Array>;
  /** @throws {OrchestraError} `ORCH_BUS_PAYLOAD`, `ORCH_BUS_UNREACHABLE` */
  unpack(bytes: Uint8Array, what: string): Promise<unknown>;
}

const reference = z.strictObject({
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().min(1).max(ENCODED_BYTES_MAX),
});

export function createSpill(link: NatsLink): Spill {
  const { names } = link;

  async function store(hash: string, bytes: Uint8Array): Promise<void> {
    const { js } = await link.connected();
    for (let i = 0; i * CHUNK_BYTES < bytes.byteLength; i++) {
      const chunk = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      await js.publish(names.spill(hash, i), chunk, { retries: 5 }).catch((error: unknown) => {
        throw busError(error, `store ${bytes.byteLength} bytes`);
      });
    }
  }

  /** By its subject, so that permissions can say who may; any replica answers, also one that has not heard of it yet. */
  async function loadChunk(hash: string, index: number, what: string): Promise<Uint8Array | undefined> {
    const { jsm } = await link.connected();
    const query = { last_by_subj: names.spill(hash, index) };
    for (let tried = 0; tried < LOAD_TRIES; tried++) {
      if (tried > 0) await new Promise<void>((resolve) => link.clock.setTimer(LOAD_RETRY_MS * tried, resolve));
      const message = await jsm.direct.getMessage(names.streams.spill, query).catch((error: unknown) => {
        if (isUnanswered(error) && tried < LOAD_TRIES - 1) return null;
        throw busError(error, what);
      });
      if (message !== null) return message.data;
    }
    return undefined;
  }

  async function load(hash: string, length: number, what: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (let i = 0; i * CHUNK_BYTES < length; i++) {
      const chunk = await loadChunk(hash, i, what);
      if (chunk === undefined) throw unreadable(what, `chunk ${i} of its ${length} bytes is missing`);
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.byteLength !== length || hashBytes(bytes) !== hash)
      throw unreadable(what, `its ${length} bytes are not what was stored`);
    return bytes;
  }

  return {
    async pack(value) {
      const bytes = encodeValue(value);
      if (bytes.byteLength <= SPILL_ABOVE_BYTES) return encodeAs("message", bytes);
      const hash = hashBytes(bytes);
      await store(hash, bytes);
      return encodeAs("spilled", encodeValue({ hash, bytes: bytes.byteLength }));
    },
    async unpack(payload, what) {
      if (payloadKind(payload) !== "spilled") return decodePayload(payload, what);
      const parsed = reference.safeParse(decodeAs("spilled", payload, what));
      if (!parsed.success) throw unreadable(what, "its reference to stored bytes is not one");
      const bytes = await load(parsed.data.hash, parsed.data.bytes, what);
      try {
        return decodeForeign(bytes, what);
      } catch (error) {
        throw isOrchestraError(error, "ORCH_BUS_PAYLOAD") ? error : unreadable(what, (error as Error).message, error);
      }
    },
  };
}
