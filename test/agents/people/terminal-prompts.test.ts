// Questions at a real terminal, as a person meets them: a program of a user's behind a pseudo-terminal.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeAll, describe, expect, it } from "vitest";

import { CTRL_C, open, type Terminal } from "../../cli/terminal.ts";
import { createProject, ensureBuilt, type Project } from "../../package/project.ts";

const [DOWN, ENTER, ESC, CTRL_D] = ["\u001b[B", "\r", "\u001b", "\u0004"];

let project: Project | undefined;
let terminal: Terminal | undefined;
beforeAll(ensureBuilt);
afterEach(() => {
  terminal?.kill();
  project?.remove();
});

/** A program that asks each prompt in turn and prints status and response of its run. */
function asks(prompts: readonly unknown[], { before = "" }: { before?: string } = {}): Terminal {
  project = createProject();
  writeFileSync(
    join(project.folder, "main.mjs"),
    `import { Orchestra, next } from "orchestra";
    const prompts = ${JSON.stringify(prompts)};
    ${before}
    const result = await Orchestra.run({
      task: "ask",
      topology: { nodes: ["A"] },
      agents: {
        A: (input, ctx) => {
          const answers = ctx.state.get("answers") ?? [];
          if (ctx.question) answers.push(input);
          ctx.state.set("answers", answers);
          return answers.length === prompts.length ? answers : next.ask(prompts[answers.length]);
        },
      },
    });
    console.log("ended", result.status, JSON.stringify(result.finalResponse));`,
  );
  return (terminal = open(process.execPath, ["main.mjs"], { cwd: project.folder }));
}

const CHOICE = {
  kind: "choice",
  message: "which colour?",
  choices: ["red", { value: { id: 2 }, label: "green", hint: "calm" }, "blue"],
};

describe("a question at a terminal", () => {
  it("is answered by a choice, by yes or no, and by text, each drawn as what it is", async () => {
    const screen = asks([
      CHOICE,
      { kind: "confirm", message: "sure?" },
      { kind: "text", message: "why?" },
      "anything?",
    ]);
    await screen.shows("[A] which colour?");
    await screen.shows("green");
    screen.type(DOWN);
    await screen.shows("calm");
    screen.type(ENTER);
    await screen.shows("[A] sure?");
    screen.type("n");
    await screen.shows("[A] why?");
    screen.type(`it is caln\u007fm${ENTER}`);
    await screen.shows("[A] anything?");
    screen.type(ENTER);
    expect(await screen.ended).toBe(0);
    expect(screen.shown).toContain('ended completed [{"id":2},false,"it is calm",""]');
  });

  it("shows what a tool would be given, and takes yes or no", async () => {
    const screen = asks([{ kind: "approval", tool: "send_mail", input: { to: "ada@example.org" } }]);
    await screen.shows('May the tool "send_mail" run?');
    await screen.shows('"to": "ada@example.org"');
    screen.type(DOWN + ENTER);
    expect(await screen.ended).toBe(0);
    expect(screen.shown).toContain('ended completed [{"approved":false}]');
  });

  it("is asked again after Esc", async () => {
    const screen = asks(["really?"]);
    await screen.shows("[A] really?");
    screen.type(ESC);
    await screen.shows("└");
    await expect.poll(() => screen.shown.split("really?").length).toBe(3);
    screen.type(`yes${ENTER}`);
    expect(await screen.ended).toBe(0);
    expect(screen.shown).toContain('["yes"]');
  });

  it.each([
    ["Ctrl-C, where nobody listens for it", CTRL_C],
    ["the end of the input", CTRL_D],
  ])("stays open after %s", async (_, key) => {
    const screen = asks(["really?"]);
    await screen.shows("[A] really?");
    screen.type(key);
    expect(await screen.ended).toBe(0);
    expect(screen.shown).toContain("ended awaiting_user null");
  });

  it("leaves Ctrl-C to a program that listens for it", async () => {
    const screen = asks(["really?"], {
      before: `process.once("SIGINT", () => { console.log("heard it"); process.exit(7); });`,
    });
    await screen.shows("[A] really?");
    screen.type(CTRL_C);
    expect(await screen.ended).toBe(7);
    expect(screen.shown).toContain("heard it");
  });
});
