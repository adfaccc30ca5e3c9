// Values of users
//
// One walk that proves a value can be stored faithfully, copies it and estimates its size.
//
// V1  What comes out shares no mutable part with what went in.
// V2  What comes out reads back from the codec as it is, or the walk has thrown.
// V3  Every property is read once, so an accessor runs once.
//
// `undefined` is null, properties that are undefined are dropped, holes of arrays are null, -0 is 0. Named
// properties of arrays take no part, as in JSON. A value met twice is copied twice.

import { types } from "node:util";
import { OrchestraError } from "./errors.ts";
import { makeError } from "./stored-error.ts";

export interface CopyOptions {
  /** What the value is, as the first word of the path in messages. Default `"value"`. */
  readonly name?: string;
  /** Largest estimated size in bytes. Default `VALUE_BYTES_MAX`. */
  readonly bytesMax?: number;
  /** Lets NaN and the infinities pass. Default false. */
  readonly allowNonFinite?: boolean;
}

export interface Copied {
  readonly value: unknown;
  /** Encoded size, estimated: within a few bytes per item for ASCII text. */
  readonly bytes: number;
}

export const VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Levels of nesting; a Map or Set counts as two. */
export const VALUE_DEPTH_MAX = 1000;

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
/** Stands among the ancestors for the second level of a Map or Set. */
const EXTRA_LEVEL: object = Object.freeze({});
/** Above this length the bytes of a string are counted, below they are taken to be ASCII. */
const COUNTED_LENGTH = 64;

/**
 * Deep copy of `value`, refused when it could not be read back as it is.
 *
 * @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE` with the path of what cannot be stored (`output.items[3].fn`);
 *   `ORCH_PAYLOAD_TOO_LARGE` with both figures.
 */
export function copyValue(value: unknown, options: CopyOptions = {}): Copied {
  const walk = new Walk(options);
  const copied = walk.copy(value);
  return { value: copied, bytes: walk.bytes };
}

class Walk {
  bytes = 0;
  readonly #name: string;
  readonly #bytesMax: number;
  readonly #allowNonFinite: boolean;
  readonly #ancestors: object[] = [];
  readonly #path: (string | number)[] = [];

  constructor(options: CopyOptions) {
    this.#name = options.name ?? "value";
    this.#bytesMax = options.bytesMax ?? VALUE_BYTES_MAX;
    this.#allowNonFinite = options.allowNonFinite ?? false;
  }

  copy(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
        return this.#number(value);
      case "boolean":
        this.bytes += 1;
        return value;
      case "undefined":
        this.bytes += 1;
        return null;
      case "bigint":
        if (value < INT64_MIN || value > UINT64_MAX) this.#refuse("a BigInt of more than 64 bits");
        this.bytes += 9;
        return value;
      case "object":
        if (value === null) {
          this.bytes += 1;
          return null;
        }
        return this.#object(value);
      default:
        return this.#refuse(`a ${typeof value}`);
    }
  }

  #string(value: string): string {
    const length = value.length;
    this.bytes += length < COUNTED_LENGTH ? length + 1 : Buffer.byteLength(value) + 5;
    if (this.bytes > this.#bytesMax) this.#tooLarge();
    return value;
  }

  #number(value: number): number {
    if (Number.isInteger(value)) {
      this.bytes += value >= -32 && value < 128 ? 1 : 5;
      return value === 0 ? 0 : value;
    }
    if (!Number.isFinite(value) && !this.#allowNonFinite) this.#refuse(`the number ${value}`);
    this.bytes += 9;
    return value;
  }

  #object(value: object): unknown {
    if (this.#ancestors.length >= VALUE_DEPTH_MAX) this.#tooDeep(value);
    if (this.bytes > this.#bytesMax) this.#tooLarge();
    this.#ancestors.push(value);
    let out: unknown;
    if (Array.isArray(value)) out = this.#array(value);
    else {
      const prototype: unknown = Object.getPrototypeOf(value);
      out =
        prototype === Object.prototype || prototype === null ? this.#plain(value) : this.#instance(value, prototype);
    }
    this.#ancestors.pop();
    return out;
  }

  #array(value: readonly unknown[]): unknown[] {
    this.bytes += value.length < 16 ? 1 : 5;
    // A length is cheap to claim; what it would cost is refused before it is built.
    if (this.bytes + value.length > this.#bytesMax) this.#tooLarge(this.bytes + value.length);
    const out: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      this.#path.push(i);
      out.push(this.copy(value[i]));
      this.#path.pop();
    }
    return out;
  }

  #plain(value: object): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    const keys = Object.keys(value);
    this.bytes += keys.length < 16 ? 1 : 5;
    for (const key of keys) {
      const item = (value as Record<string, unknown>)[key];
      if (item === undefined) continue;
      this.#path.push(key);
      if (key === "__proto__") this.#refuse("a property named __proto__");
      this.#string(key);
      out[key] = this.copy(item);
      this.#path.pop();
    }
    const symbol = Object.getOwnPropertySymbols(value).find((one) =>
      Object.prototype.propertyIsEnumerable.call(value, one),
    );
    if (symbol !== undefined) this.#refuse(`a property named by ${String(symbol)}`);
    return out;
  }

  #instance(value: object, prototype: unknown): unknown {
    if (types.isDate(value)) return this.#date(value);
    if (types.isUint8Array(value)) {
      this.bytes += value.byteLength + 12;
      if (this.bytes > this.#bytesMax) this.#tooLarge();
      return Uint8Array.from(value);
    }
    if (types.isMap(value)) return this.#map(value);
    if (types.isSet(value)) return this.#set(value);
    if (value instanceof Error || types.isNativeError(value)) return this.#error(value);
    // A plain object of another realm (a vm context) has that realm's Object.prototype.
    if (isForeignPlain(prototype)) return this.#plain(value);
    const hint = types.isPromise(value) ? " (is an await missing?)" : "";
    return this.#refuse(`an instance of ${nameOf(value)}${hint}`);
  }

  #date(value: Date): Date {
    const time = value.getTime();
    if (Number.isNaN(time) && !this.#allowNonFinite) this.#refuse("an invalid Date");
    this.bytes += 15;
    return new Date(time);
  }

  // Kept: name, message, code, data and cause. What else an error carries (sockets, requests) is left behind.
  #error(value: Error & { code?: unknown; data?: unknown }): Error {
    const { name, message, code, data, cause } = value;
    this.bytes += 40;
    const part = (key: string, from: unknown): unknown => {
      this.#path.push(key);
      const copied = this.copy(from);
      this.#path.pop();
      return copied;
    };
    return makeError({
      name: this.#string(String(name)),
      message: this.#string(String(message)),
      ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
      ...(data === undefined ? {} : { data: part("data", data) }),
      ...(cause === undefined ? {} : { cause: part("cause", cause) }),
    });
  }

  #map(value: ReadonlyMap<unknown, unknown>): Map<unknown, unknown> {
    this.bytes += 12;
    this.#ancestors.push(EXTRA_LEVEL);
    const out = new Map<unknown, unknown>();
    for (const [key, item] of value) {
      this.#path.push(typeof key === "string" || typeof key === "number" ? key : out.size);
      out.set(this.copy(key), this.copy(item));
      this.#path.pop();
    }
    this.#ancestors.pop();
    return out;
  }

  #set(value: ReadonlySet<unknown>): Set<unknown> {
    this.bytes += 12;
    this.#ancestors.push(EXTRA_LEVEL);
    const out = new Set<unknown>();
    for (const item of value) {
      this.#path.push(out.size);
      out.add(this.copy(item));
      this.#path.pop();
    }
    this.#ancestors.pop();
    return out;
  }

  #where(): string {
    return this.#name + renderPath(this.#path);
  }

  #refuse(what: string): never {
    const path = this.#where();
    throw new OrchestraError(
      "ORCH_NOT_SERIALIZABLE",
      `${path}: ${what} cannot be stored; expected plain data, Date, Map, Set, Uint8Array, Error or a BigInt of 64 bits`,
      { details: { path } },
    );
  }

  #tooDeep(value: object): never {
    this.#refuseCycle(value);
    const path = this.#where();
    throw new OrchestraError(
      "ORCH_NOT_SERIALIZABLE",
      `${shorten(path)}: nested deeper than ${VALUE_DEPTH_MAX} levels`,
      { details: { path: shorten(path), depthMax: VALUE_DEPTH_MAX } },
    );
  }

  #tooLarge(bytes = this.bytes): never {
    this.#refuseCycle(undefined);
    throw new OrchestraError(
      "ORCH_PAYLOAD_TOO_LARGE",
      `${this.#name}: at least ${bytes} bytes, the limit is ${this.#bytesMax}`,
      { details: { bytes, bytesMax: this.#bytesMax } },
    );
  }

  // A cycle shows itself by its depth or its size, so that looking for one costs nothing while all is well.
  #refuseCycle(value: object | undefined): void {
    const chain = value === undefined ? this.#ancestors : [...this.#ancestors, value];
    const seen = new Set<object>();
    for (const [i, one] of chain.entries()) {
      if (one === EXTRA_LEVEL) continue;
      if (seen.has(one)) {
        const levels = chain.slice(0, i).filter((each) => each !== EXTRA_LEVEL).length;
        const path = this.#name + renderPath(this.#path.slice(0, levels));
        throw new OrchestraError("ORCH_NOT_SERIALIZABLE", `${path}: a cycle leads back to a value that holds it`, {
          details: { path },
        });
      }
      seen.add(one);
    }
  }
}

function isForeignPlain(prototype: unknown): boolean {
  return (
    prototype !== null &&
    typeof prototype === "object" &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf")
  );
}

function nameOf(value: object): string {
  const maker: unknown = (value as { constructor?: unknown }).constructor;
  return typeof maker === "function" && maker.name !== "" ? maker.name : "a class";
}

const PLAIN_KEY = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

function renderPath(path: readonly (string | number)[]): string {
  return path
    .map((part) =>
      typeof part === "number" ? `[${part}]` : PLAIN_KEY.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`,
    )
    .join("");
}

function shorten(path: string): string {
  return path.length <= 160 ? path : `${path.slice(0, 100)}…${path.slice(-50)}`;
}
