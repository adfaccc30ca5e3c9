import { expect, it } from "vitest";
import { BLOCK_VECTORS, Vectors } from "../../src/memory/vectors.ts";

it("takes little memory for few vectors, and keeps them as they become many", () => {
  const vectors = new Vectors(384);
  const bytes = (): number => vectors.blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const count = 2 * BLOCK_VECTORS + 10;
  for (let slot = 0; slot < count; slot++) {
    vectors.add(new Float32Array(384).fill(slot));
    expect(bytes()).toBeLessThanOrEqual(Math.max(4, Math.min(2 * (slot + 1), slot + 1 + BLOCK_VECTORS)) * 384 * 4);
    if (slot === 0) expect(bytes()).toBeLessThan(10_000);
  }
  for (let slot = 0; slot < count; slot++) expect(vectors.at(slot)[383]).toBe(slot);
  expect(() => vectors.at(count)).toThrow(RangeError);
});
