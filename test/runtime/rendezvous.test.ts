import { describe, expect, it } from "vitest";
import { placeInLine } from "../../src/runtime/rendezvous.ts";

const HOSTS = ["host_1", "host_2", "host_3", "host_4"];
const KEYS = Array.from({ length: 4_000 }, (_, i) => `s_${i}`);

describe("the line of hosts for a session", () => {
  it("has each host once, in whatever order they are named", () => {
    for (const key of KEYS.slice(0, 50)) {
      const places = HOSTS.map((host) => placeInLine(key, host, HOSTS));
      expect([...places].sort()).toEqual([0, 1, 2, 3]);
      expect(HOSTS.map((host) => placeInLine(key, host, HOSTS.toReversed()))).toEqual(places);
    }
  });

  it("has each host first for about as many sessions", () => {
    for (const host of HOSTS) {
      const first = KEYS.filter((key) => placeInLine(key, host, HOSTS) === 0).length;
      expect(Math.abs(first - KEYS.length / HOSTS.length)).toBeLessThan(KEYS.length * 0.03);
    }
  });

  it("stays as it is for the others when one goes", () => {
    const left = HOSTS.slice(1);
    const order = (key: string, hosts: readonly string[]): string[] =>
      left.toSorted((a, b) => placeInLine(key, a, hosts) - placeInLine(key, b, hosts));
    for (const key of KEYS.slice(0, 200)) expect(order(key, left)).toEqual(order(key, HOSTS));
  });

  it("has no place for a host that is not in it", () => {
    expect(placeInLine("s", "other", HOSTS)).toBe(-1);
  });
});
