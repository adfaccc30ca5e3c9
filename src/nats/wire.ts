// Wire
//
// Payloads on the bus: the codec's MessagePack in a checked frame. What comes from the bus is foreign until it is read.
//
// W1  decodePayload(encodePayload(x)) equals x for every x that copyValue let pass.
// W2  Foreign bytes end in ORCH_BUS_PAYLOAD or in plain data, whatever they are; above the limit they are not looked at.
// W3  What is too large for one message travels as a reference to its chunks, which are stored before it is sent.

import { decodeValue, encodeValue } from "../base/codec.ts";
import { foreignProblem } from "../base/foreign-bytes.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeRecord, recordKind } from "../base/record.ts";

/** Largest payload of one message: less than `max_msg_size` of the streams, which counts subject and headers. */
export const MESSAGE_BYTES_MAX = 512 * 1024;

const BINDING = "bus";

/**
 * A value as the payload of one message.
 * @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`; `ORCH_PAYLOAD_TOO_LARGE` above 512 KiB.
 */
export function encodePayload(value: unknown): Uint8Array {
  const payload = encodeAs("message", encodeValue(value));
  if (payload.byteLength <= MESSAGE_BYTES_MAX) return payload;
  throw new OrchestraError(
    "ORCH_PAYLOAD_TOO_LARGE",
    `message of ${payload.byteLength} bytes, the limit is ${MESSAGE_BYTES_MAX}`,
    { details: { bytes: payload.byteLength, bytesMax: MESSAGE_BYTES_MAX } },
  );
}

/** `what` names the message in errors. @throws {OrchestraError} `ORCH_BUS_PAYLOAD` */
export function decodePayload(bytes: Uint8Array, what: string): unknown {
  if (bytes.byteLength > MESSAGE_BYTES_MAX)
    throw unreadable(what, `${bytes.byteLength} bytes, the limit is ${MESSAGE_BYTES_MAX}`);
  return decodeAs("message", bytes, what);
}

export type WireKind = "message" | "spilled";

/** The kind a payload claims to be, before anything is checked. */
export function payloadKind(bytes: Uint8Array): WireKind | undefined {
  const kind = recordKind(bytes);
  return kind === "message" || kind === "spilled" ? kind : undefined;
}

/** @throws {OrchestraError} `ORCH_BUS_PAYLOAD` */
export function decodeAs(kind: WireKind, bytes: Uint8Array, what: string): unknown {
  try {
    return decodeForeign(decodeRecord(kind, bytes, BINDING), what);
  } catch (error) {
    throw isOrchestraError(error, "ORCH_BUS_PAYLOAD") ? error : unreadable(what, (error as Error).message, error);
  }
}

/** A value that somebody else encoded. @throws {OrchestraError} `ORCH_BUS_PAYLOAD`, `ORCH_STORE_CORRUPT` */
export function decodeForeign(encoded: Uint8Array, what: string): unknown {
  const problem = foreignProblem(encoded);
  if (problem !== undefined) throw unreadable(what, problem);
  return decodeValue(encoded);
}

/** Frames an encoded value. */
export function encodeAs(kind: WireKind, encoded: Uint8Array): Uint8Array {
  return encodeRecord(kind, encoded, BINDING);
}

export function unreadable(what: string, why: string, cause?: unknown): OrchestraError {
  return new OrchestraError("ORCH_BUS_PAYLOAD", `${what} cannot be read: ${why}`, {
    ...(cause !== undefined && { cause }),
    details: { what },
  });
}
