// Codec
//
// Values as bytes. The bytes are plain MessagePack that any reader understands: no records (their table would be
// part of the data) and no extensions but the standard one for dates.
//
// What MessagePack has no word for stands in a box, a map with the single key "\0" and [tag, ...parts]:
// map, set, bytes, error, text (a string with half a surrogate pair, as UTF-16), object (a user's own object
// with that key, or with one named constructor, which the writer would look at). Bytes are boxed because the reader would hand out a Buffer.
//
// K1  decodeValue(encodeValue(x)) equals x for every x that copyValue let pass.
// K2  Foreign bytes end in a coded error or in plain data, whatever they are.

// Without its streams and its native part, which take longer to load than they save on values of usual size.
import { Packr, RESERVE_START_SPACE } from "msgpackr/pack";
import { types } from "node:util";
import { OrchestraError } from "./errors.ts";
import { makeError } from "./stored-error.ts";

const BOX_KEY = "\0";
/** The string "\0", encoded: without it there is no box. */
const BOX_MARK = Buffer.from([0xa1, 0x00]);

/** More than this is neither written nor read. */
export const ENCODED_BYTES_MAX = 64 * 1024 * 1024;

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  moreTypes: false,
  int64AsType: "bigint",
  copyBuffers: true,
});

/**
 * MessagePack of a value that `copyValue` let pass.
 * @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE` for what cannot be encoded after all; `ORCH_PAYLOAD_TOO_LARGE`
 *   above 64 MiB.
 */
export function encodeValue(value: unknown): Uint8Array {
  return encodeBehind(0, value);
}

/** The same behind as many bytes of room, at most 255, whose content is undefined: for a header that is written there. */
export function encodeBehind(roomBytes: number, value: unknown): Buffer {
  let bytes: Buffer;
  try {
    bytes = packr.pack(box(value), RESERVE_START_SPACE | roomBytes);
  } catch (error) {
    throw new OrchestraError("ORCH_NOT_SERIALIZABLE", `value: cannot be encoded: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (bytes.byteLength - roomBytes > ENCODED_BYTES_MAX) throw tooLarge(bytes);
  return bytes;
}

/** @throws {OrchestraError} `ORCH_STORE_CORRUPT` for bytes that are no value; `ORCH_PAYLOAD_TOO_LARGE` above 64 MiB. */
export function decodeValue(bytes: Uint8Array): unknown {
  if (bytes.byteLength > ENCODED_BYTES_MAX) throw tooLarge(bytes);
  try {
    const raw: unknown = packr.unpack(bytes);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return view.includes(BOX_MARK) ? unbox(raw) : raw;
  } catch (error) {
    throw new OrchestraError(
      "ORCH_STORE_CORRUPT",
      `encoded value of ${bytes.byteLength} bytes cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function tooLarge(bytes: Uint8Array): OrchestraError {
  return new OrchestraError(
    "ORCH_PAYLOAD_TOO_LARGE",
    `encoded value: ${bytes.byteLength} bytes, the limit is ${ENCODED_BYTES_MAX}`,
    { details: { bytes: bytes.byteLength, bytesMax: ENCODED_BYTES_MAX } },
  );
}

// Values without anything to box, nearly all of them, come back as they went in: nothing is allocated.
function box(value: unknown): unknown {
  if (typeof value === "string")
    return value.length === 0 || isWellFormed(value) ? value : boxOf("text", [Buffer.from(value, "utf16le")]);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return boxArray(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return boxObject(value as Record<string, unknown>);
  if (types.isDate(value)) return value;
  if (types.isUint8Array(value)) return boxOf("bytes", [value]);
  if (types.isMap(value)) return boxOf("map", [...value].flat(1).map(box));
  if (types.isSet(value)) return boxOf("set", [...value].map(box));
  if (value instanceof Error) {
    const { name, message, code = null, data, cause } = value as Error & { code?: unknown; data?: unknown };
    return boxOf("error", [box({ name, message, code, data, cause })]);
  }
  throw new TypeError(`an instance of ${String((value as object).constructor?.name)} has no encoding`);
}

function boxOf(tag: string, parts: unknown[]): unknown {
  parts.unshift(tag);
  return { [BOX_KEY]: parts };
}

function boxArray(value: readonly unknown[]): unknown {
  let out: unknown[] | null = null;
  for (let i = 0; i < value.length; i++) {
    const item = value[i];
    const boxed = box(item);
    if (boxed !== item && out === null) out = value.slice();
    if (out !== null) out[i] = boxed;
  }
  return out ?? value;
}

function boxObject(value: Record<string, unknown>): unknown {
  let out: Record<string, unknown> | null = null;
  let drop = false;
  for (const key in value) {
    const item = value[key];
    if (item === undefined) drop = true;
    const boxed = box(item);
    if (boxed !== item) (out ??= { ...value })[key] = boxed;
  }
  const boxed = drop ? withoutUndefined(out ?? value) : (out ?? value);
  return Object.hasOwn(value, BOX_KEY) || Object.hasOwn(value, "constructor")
    ? boxOf("object", Object.entries(boxed).flat(1))
    : boxed;
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function unbox(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(unbox);
  if (types.isDate(value) || types.isUint8Array(value)) return value;
  const record = value as Record<string, unknown>;
  const parts = record[BOX_KEY];
  if (Object.hasOwn(record, BOX_KEY)) {
    if (!Array.isArray(parts) || Object.keys(record).length !== 1) throw new TypeError("a box without parts");
    return open(parts);
  }
  for (const key of Object.keys(record)) record[key] = unbox(record[key]);
  return record;
}

function open([tag, ...parts]: readonly unknown[]): unknown {
  const first = parts[0];
  switch (tag) {
    case "text":
      if (types.isUint8Array(first)) return Buffer.from(first).toString("utf16le");
      break;
    case "bytes":
      if (types.isUint8Array(first)) return Uint8Array.from(first);
      break;
    case "map":
      return new Map(pairs(parts));
    case "set":
      return new Set(parts.map(unbox));
    case "object":
      return Object.fromEntries(pairs(parts).filter(([key]) => key !== "__proto__"));
    case "error":
      return openError(unbox(first));
  }
  throw new TypeError(`a box with the tag ${JSON.stringify(tag)}`);
}

function pairs(flat: readonly unknown[]): [string, unknown][] {
  if (flat.length % 2 !== 0) throw new TypeError("a key without a value");
  const out: [string, unknown][] = [];
  // Keys of maps may be anything; those of objects are strings by the way they are written.
  for (let i = 0; i < flat.length; i += 2) out.push([unbox(flat[i]) as string, unbox(flat[i + 1])]);
  return out;
}

function openError(from: unknown): Error {
  const { name, message, code, data, cause } = (from ?? {}) as Record<string, unknown>;
  return makeError({
    name: String(name),
    message: String(message),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(data === undefined ? {} : { data }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Half a surrogate pair has no UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;
function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}
