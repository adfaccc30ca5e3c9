import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { OutputCapture } from "../../../src/agents/command/output-capture.ts";

describe("OutputCapture", () => {
  it("keeps what fits as it is", () => {
    const capture = new OutputCapture(10);
    for (const text of ["0123", "", "456789"]) capture.write(text);
    expect([capture.text(), capture.truncated]).toEqual(["0123456789", false]);
  });

  it("keeps the beginning and the end of what does not, and says how much is missing", () => {
    const capture = new OutputCapture(10);
    for (let i = 0; i < 100; i++) capture.write(`${String(i).padStart(3, "0")}\n`);
    expect([capture.text(), capture.truncated]).toEqual(["000\n0\n[… 390 bytes left out …]\n\n099\n", true]);
  });

  it("cuts between characters, and counts every byte", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", "é", "€", "😀"), maxLength: 20 })),
        fc.integer({ min: 1, max: 60 }),
        (pieces, bytesMax) => {
          const capture = new OutputCapture(bytesMax);
          for (const piece of pieces) capture.write(piece);
          const whole = pieces.join("");
          const text = capture.text();
          if (!capture.truncated) {
            expect(text).toBe(whole);
            return;
          }
          const [, head = "", left = "", tail = ""] = /^(.*)\n\[… (\d+) bytes left out …\]\n(.*)$/su.exec(text) ?? [];
          expect(whole.startsWith(head)).toBe(true);
          expect(whole.endsWith(tail)).toBe(true);
          expect(Buffer.byteLength(head) + Number(left) + Buffer.byteLength(tail)).toBe(Buffer.byteLength(whole));
          expect(Buffer.byteLength(head + tail)).toBeLessThanOrEqual(bytesMax);
        },
      ),
    );
  });
});
