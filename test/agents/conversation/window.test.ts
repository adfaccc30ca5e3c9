import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { paired, type Message, type MessagePart } from "../../../src/agents/conversation/message.ts";
import { conversationWindow } from "../../../src/agents/conversation/window.ts";

const user = (content: string): Message => ({ role: "user", content });
const says = (content: string): Message => ({ role: "assistant", content });
const system = (content: string): Message => ({ role: "system", content });
const calls = (...ids: string[]): Message => ({
  role: "assistant",
  content: ids.map((toolCallId) => ({ type: "tool-call", toolCallId })),
});
const results = (...ids: string[]): Message => ({
  role: "tool",
  content: ids.map((toolCallId) => ({ type: "tool-result", toolCallId })),
});

const one = () => 1;
const window = (messages: readonly Message[], tokensMax: number | false) =>
  conversationWindow(messages, { tokensMax, countTokens: one });

describe("a window", () => {
  it("shows whole turns, the newest that fit", () => {
    const talk = [user("1"), says("a"), user("2"), says("b"), user("3")];
    expect(window(talk, 3)).toEqual(talk.slice(2));
    expect(window(talk, 4)).toEqual(talk.slice(2));
    expect(window(talk, 5)).toEqual(talk);
  });

  it("keeps what the system says, wherever it stands", () => {
    const talk = [system("be brief"), user("1"), says("a"), system("be kind"), user("2")];
    expect(window(talk, 3)).toEqual([talk[0], talk[3], talk[4]]);
  });

  it("shortens the newest turn by its oldest exchanges, and keeps how it began", () => {
    const talk = [
      user("0"),
      says("z"),
      user("1"),
      calls("a"),
      results("a"),
      calls("b", "c"),
      results("b"),
      results("c"),
    ];
    expect(window(talk, 5)).toEqual([talk[2], ...talk.slice(5)]);
  });

  it("shows how the newest turn began and its last exchange, whatever they take", () => {
    const talk = [system("s"), user("1"), calls("a"), results("a"), calls("b"), results("b")];
    expect(window(talk, 1)).toEqual([talk[0], talk[1], talk[4], talk[5]]);
  });

  it("takes what a step has said so far for one turn, corrections included", () => {
    const talk = [user("1"), says("a")];
    const current = [user("task"), says("bad"), user("not so"), says("worse"), user("nor so"), says("good")];
    const shown = (tokensMax: number) => conversationWindow(talk, { current, tokensMax, countTokens: one });
    expect(shown(8)).toEqual([...talk, ...current]);
    expect(shown(7)).toEqual(current);
    expect(shown(4)).toEqual([current[0], ...current.slice(3)]);
    expect(shown(1)).toEqual([current[0], current[5]]);
  });

  it("does not cut between a call and a result that comes after the user has spoken", () => {
    const talk = [user("1"), calls("a"), user("still there?"), results("a"), says("x"), user("2")];
    expect(window(talk, 5)).toEqual([talk[5]]);
    expect(window(talk, 6)).toEqual(talk);
  });

  it("tells calls apart whose server numbers them anew each time", () => {
    const talk = [user("1"), calls("call_0"), results("call_0"), user("2"), calls("call_0"), results("call_0")];
    expect(window(talk, 3)).toEqual(talk.slice(3));
    expect(window(talk, false)).toEqual(talk);
  });

  it("leaves out calls that had no result, and results without a call", () => {
    const cut = [results("gone"), user("1"), calls("a", "b"), results("b"), calls("c")];
    expect(window(cut, false)).toEqual([user("1"), calls("b"), results("b")]);
  });
});

const ids = fc.constantFrom("a", "b", "c");
const part: fc.Arbitrary<MessagePart> = fc.oneof(
  fc.record({ type: fc.constantFrom("tool-call", "tool-result"), toolCallId: ids }),
  fc.constant({ type: "text" }),
);
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ role: fc.constantFrom("system" as const, "user" as const), content: fc.string({ maxLength: 3 }) }),
  fc.record({ role: fc.constant("assistant" as const), content: fc.array(part, { minLength: 1, maxLength: 3 }) }),
  fc.record({ role: fc.constant("tool" as const), content: fc.array(part, { minLength: 1, maxLength: 3 }) }),
);
const conversation = fc.array(message, { maxLength: 24 });
const weigh = ({ content }: Message): number => content.length + 1;
const weight = (messages: readonly Message[]): number => messages.reduce((sum, m) => sum + weigh(m), 0);
const isSystem = ({ role }: Message): boolean => role === "system";

describe("whatever was said", () => {
  const shown = (messages: readonly Message[], tokensMax: number | false) =>
    conversationWindow(messages, { tokensMax, countTokens: weigh });

  it("a window keeps all of the system, in order, and the last message", () => {
    fc.assert(
      fc.property(conversation, fc.nat(40), (messages, tokensMax) => {
        const whole = paired(messages);
        const some = shown(messages, tokensMax);
        expect(some.filter(isSystem)).toEqual(whole.filter(isSystem));
        expect(some.findLast((m) => !isSystem(m))).toEqual(whole.findLast((m) => !isSystem(m)));
      }),
    );
  });

  it("a window leaves messages out and changes none", () => {
    fc.assert(
      fc.property(conversation, fc.nat(40), (messages, tokensMax) => {
        const whole = paired(messages);
        const places = shown(whole, tokensMax).map((m) => whole.indexOf(m));
        expect(places).not.toContain(-1);
        expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
      }),
    );
  });

  it("every call has its result behind it, every result its call before it", () => {
    fc.assert(
      fc.property(conversation, fc.oneof(fc.nat(40), fc.constant(false as const)), (messages, tokensMax) => {
        const some = shown(messages, tokensMax);
        expect(paired(some)).toBe(some);
      }),
    );
  });

  it("a window fits, or holds no more than the newest turn", () => {
    fc.assert(
      fc.property(conversation, fc.nat(40), (messages, tokensMax) => {
        const some = shown(messages, tokensMax);
        if (weight(some) <= tokensMax) return;
        expect(shown(messages, 0)).toEqual(some);
      }),
    );
  });

  it("a wider window shows all that a narrower one shows", () => {
    fc.assert(
      fc.property(conversation, fc.nat(40), fc.nat(20), (messages, tokensMax, more) => {
        expect(shown(messages, tokensMax + more).length).toBeGreaterThanOrEqual(shown(messages, tokensMax).length);
        expect(shown(shown(messages, tokensMax), tokensMax)).toEqual(shown(messages, tokensMax));
      }),
    );
  });
});
