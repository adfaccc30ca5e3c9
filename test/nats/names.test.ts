import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeName, KINDS, namesOf } from "../../src/nats/names.ts";

const anyName = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.stringMatching(/^[A-Za-z0-9_.*> $-]{1,80}$/),
  fc.constantFrom(
    "*",
    ">",
    ".",
    "",
    "a.b",
    "a b",
    "$JS.API.>",
    "o.log.*",
    "\u0000",
    "\r\nPUB o.log.x 0\r\n",
    "h-",
    "..",
    "_INBOX.>",
  ),
  fc.string({ maxLength: 5 }).map((name) => encodeName(`${name}.`)),
);
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether a subject is one that a pattern matches, as nats-server decides it. */
function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split(".");
  const wanted = pattern.split(".");
  return (
    wanted.every((token, i) => (token === ">" ? tokens.length > i : token === "*" || token === tokens[i])) &&
    (wanted.at(-1) === ">" || wanted.length === tokens.length)
  );
}

describe("names on the bus", () => {
  it("keeps what is a token already, and hashes what only looks like a hash", () => {
    expect(["writer", "s_01-A", "x".repeat(64)].map(encodeName)).toEqual(["writer", "s_01-A", "x".repeat(64)]);
    const hashed = encodeName("a.b");
    expect(hashed).toMatch(/^h-[A-Za-z0-9_-]{43}$/);
    expect(encodeName(hashed)).not.toBe(hashed);
  });

  it("makes one token of any name, and different ones of different names", () => {
    fc.assert(
      fc.property(anyName, anyName, (a, b) => {
        expect(encodeName(a)).toMatch(TOKEN);
        expect(encodeName(a) === encodeName(b)).toBe(a === b);
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps the number of tokens and the kind, whatever sessions, agents and steps are called", () => {
    const names = namesOf({ tenant: "acme" });
    fc.assert(
      fc.property(anyName, anyName, anyName, (agent, sid, step) => {
        const subjects = [
          names.log(sid),
          names.inbox(sid),
          names.done(sid),
          names.events(sid),
          names.rpc(sid),
          names.signal(sid),
          names.result(sid, step, 1),
          names.work(agent, sid, step, 2),
          names.dead(agent, sid, step, 2),
          names.blobRef(agent, sid),
          names.spill(sid, 0),
          names.blob(sid),
        ];
        for (const [i, kind] of [
          "log",
          "in",
          "done",
          "ev",
          "rpc",
          "sig",
          "res",
          "work",
          "dlq",
          "ref",
          "spill",
          "blob",
        ].entries()) {
          const [root, tenant, found, ...rest] = (subjects[i] ?? "").split(".");
          expect([root, tenant, found]).toEqual(["o", "acme", kind]);
          for (const token of rest) expect(token).toMatch(TOKEN);
        }
        expect(subjects.map((subject) => subject.split(".").length)).toEqual([4, 4, 4, 4, 4, 4, 6, 7, 7, 5, 5, 4]);
      }),
      { numRuns: 500 },
    );
  });

  it("lets no pattern of one tenant match a subject of another", () => {
    const tenant = fc
      .stringMatching(/^[A-Za-z0-9_-]{1,32}$/)
      .filter((name) => !(KINDS as readonly string[]).includes(name));
    fc.assert(
      fc.property(
        fc.option(tenant, { nil: undefined }),
        fc.option(tenant, { nil: undefined }),
        anyName,
        (a, b, name) => {
          fc.pre(a !== b);
          const mine = namesOf({ tenant: a });
          const theirs = namesOf({ tenant: b });
          for (const subject of [
            theirs.log(name),
            theirs.work(name, name, name, 1),
            theirs.blob(name, 3),
            theirs.result(name, name, 1),
          ])
            for (const kind of KINDS) expect(matches(mine.pattern(kind, ">"), subject)).toBe(false);
          expect(Object.values(mine.streams)).not.toContain(theirs.streams.log);
        },
      ),
    );
  });

  it.each(["", "a.b", "*", "log", "ev", "x".repeat(33), "a b"])("refuses the tenant %j", (tenant) => {
    expect(() => namesOf({ tenant })).toThrow(expect.objectContaining({ code: "ORCH_BAD_OPTION" }));
  });
});
