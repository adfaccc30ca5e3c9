// Result JSON
//
// A result is JSON whatever its values are: what JSON cannot say is tagged on the way out and comes back on the
// way in. `{ "$type": "Date", "value": … }`; an object of the user's that has a `$type` of its own is wrapped.

const TAG = "$type";
const INT64 = /^-?\d{1,20}$/;

/** A value as JSON data: Date, Map, Set, Uint8Array, BigInt, Error and non-finite numbers are tagged. */
export function toJsonValue(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") return { [TAG]: "BigInt", value: value.toString() };
  if (typeof value === "number" && !Number.isFinite(value)) return { [TAG]: "Number", value: String(value) };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(toJsonValue);
  if (value instanceof Date) return { [TAG]: "Date", value: value.getTime() };
  if (value instanceof Map)
    return { [TAG]: "Map", value: [...value].map(([key, item]) => [toJsonValue(key), toJsonValue(item)]) };
  if (value instanceof Set) return { [TAG]: "Set", value: [...value].map(toJsonValue) };
  if (value instanceof Uint8Array) return { [TAG]: "Uint8Array", value: Buffer.from(value).toString("base64") };
  if (value instanceof Error) return { [TAG]: "Error", value: { name: value.name, message: value.message } };
  const fields = Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, toJsonValue(item)]),
  );
  return TAG in fields ? { [TAG]: "Object", value: fields } : fields;
}

/** The inverse of `toJsonValue`. A tag it does not know is left as it stands. */
export function fromJsonValue(json: unknown): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(fromJsonValue);
  const fields = json as Readonly<Record<string, unknown>>;
  const { [TAG]: tag, value } = fields;
  switch (tag) {
    case "BigInt":
      // Of 64 bits, as every one that was stored: digits without end would take their time to read.
      return INT64.test(String(value)) ? BigInt(String(value)) : plain(fields);
    case "Number":
      return Number(value);
    case "Date":
      return new Date(Number(value));
    case "Map":
      return new Map((value as [unknown, unknown][]).map(([key, item]) => [fromJsonValue(key), fromJsonValue(item)]));
    case "Set":
      return new Set((value as unknown[]).map(fromJsonValue));
    case "Uint8Array":
      return new Uint8Array(Buffer.from(String(value), "base64"));
    case "Error": {
      const { name, message } = value as { name: string; message: string };
      return Object.assign(new Error(message), { name });
    }
    case "Object":
      return plain(value as Readonly<Record<string, unknown>>);
    default:
      return plain(fields);
  }
}

function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, fromJsonValue(item)]));
}
