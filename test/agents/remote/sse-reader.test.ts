import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SseReader, type SseFrame } from "../../../src/agents/remote/sse-reader.ts";

function readIn(pieces: readonly Uint8Array[], frameBytesMax = 1_000): SseFrame[] {
  const reader = new SseReader(frameBytesMax);
  return pieces.flatMap((piece) => reader.push(piece));
}

const STREAM =
  '\uFEFF: hello\r\nevent: delta\r\ndata: {"a":\r\ndata:1}\r\n\r\nid: 7\nretry: 10\ndata\n\nevent: nothing\n\r' +
  "data: über 🦦\rdata:  two\r\revent: done\ndata: x\n\nevent: late\ndata: never ended";
const FRAMES = [
  { event: "delta", data: '{"a":\n1}' },
  { event: "message", data: "" },
  { event: "message", data: "über 🦦\n two" },
  { event: "done", data: "x" },
];

describe("the reader of event streams", () => {
  it("reads lines however they end, data of several lines, comments, and leaves out what never ended", () => {
    expect(readIn([Buffer.from(STREAM)])).toEqual(FRAMES);
  });

  it("reads the same wherever the bytes are split", () => {
    const bytes = Buffer.from(STREAM);
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
        expect(readIn(pieces)).toEqual(FRAMES);
      }),
      { numRuns: 200 },
    );
    expect(readIn([...bytes].map((byte) => Buffer.from([byte])))).toEqual(FRAMES);
  });

  it("refuses a line that never ends, and a frame of many lines, at the bound", () => {
    const refusal = expect.objectContaining({ code: "ORCH_PAYLOAD_TOO_LARGE" });
    expect(() => readIn(Array.from({ length: 11 }, () => Buffer.alloc(100, "x")))).toThrow(refusal);
    expect(() => readIn(Array.from({ length: 11 }, () => Buffer.from(`data: ${"x".repeat(99)}\n`)))).toThrow(refusal);
    expect(
      readIn([Buffer.from(`data:${"x".repeat(990)}\n\n`), Buffer.from(`data:${"y".repeat(990)}\n\n`)]),
    ).toHaveLength(2);
  });

  it("counts comments towards no frame: heartbeats may come for ever", () => {
    const beats = Array.from({ length: 100 }, () => Buffer.from(": still thinking about it\n"));
    expect(readIn([...beats, Buffer.from("data: x\n\n")])).toEqual([{ event: "message", data: "x" }]);
  });
});
