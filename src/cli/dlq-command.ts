// `dlq`: the dead letters of a cluster: steps that came back without a result as often as allowed, or were given up.

import { Argument, type Command } from "commander";

import { OrchestraError, OrchestraInstance, type DeadLetter } from "../index.ts";
import type { NatsBus } from "../nats/index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { loadNats, onNats, requiredNats, type NatsFlags } from "./nats-options.ts";

const ACTIONS = ["list", "show", "retry", "drop"] as const;
type Action = (typeof ACTIONS)[number];

interface DlqFlags extends NatsFlags {
  readonly session?: string;
  readonly json?: boolean;
}

const HELP = `
Actions:
  list         the letters, oldest first
  show ID      one, with its step
  retry ID     hand its step out again, if its run still waits for it; else say what to do
  drop ID      forget it

Example:
  orchestra dlq list --nats nats://n1:4222
`;

export function addDlqCommand(program: Command, io: Io, ended: (code: number) => void): void {
  onNats(
    program
      .command("dlq")
      .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
      .addArgument(new Argument("[id]", "which letter"))
      .description("dead letters: steps that came back without a result as often as allowed"),
    "--nats",
  )
    .option("--session <id>", "list: only those of a session")
    .option("--json", "as JSON")
    .addHelpText("after", HELP)
    .action(async (action: Action, id: string | undefined, flags: DlqFlags) =>
      ended(await dlqCommand(action, id, flags, io)),
    );
}

async function dlqCommand(action: Action, id: string | undefined, flags: DlqFlags, io: Io): Promise<number> {
  if (action !== "list" && id === undefined)
    throw new UsageError(`which letter? orchestra dlq ${action} ID; orchestra dlq list names them`);
  const { natsBus } = await loadNats();
  const bus = natsBus(requiredNats(flags, io));
  try {
    switch (action) {
      case "list":
        return await list(bus, flags, io);
      case "show":
        return await show(bus, id ?? "", flags, io);
      case "retry":
        return await retry(bus, id ?? "", flags, io);
      case "drop":
        if (!(await bus.deadLetters.drop(id ?? ""))) throw unknownLetter(id ?? "");
        io.out(flags.json ? json({ id, dropped: true }) : `dropped ${id}`);
        return EXIT.ok;
    }
  } finally {
    await bus.close();
  }
}

const PAGE = 100;

async function list(bus: NatsBus, { session, json: asJson }: DlqFlags, io: Io): Promise<number> {
  const letters: DeadLetter[] = [];
  for (let after: string | undefined; ;) {
    const page = await bus.deadLetters.list({
      limit: PAGE,
      ...(after !== undefined && { after }),
      ...(session !== undefined && { sessionId: session }),
    });
    letters.push(...page);
    after = page.at(-1)?.id;
    if (page.length < PAGE) break;
  }
  if (asJson) io.out(json(letters));
  else if (letters.length === 0) io.err("no dead letters");
  else
    io.out(
      letters
        .map(({ id, sessionId, stepId, attempt, agent, reason, atMs, deliveries }) =>
          [
            `${id}  ${new Date(atMs).toISOString()}  session ${sessionId}, step ${stepId}, attempt ${attempt}`,
            `    agent ${agent}, handed out ${deliveries} times: ${reason}`,
          ].join("\n"),
        )
        .join("\n"),
    );
  return EXIT.ok;
}

async function show(bus: NatsBus, id: string, { json: asJson }: DlqFlags, io: Io): Promise<number> {
  const letter = await bus.deadLetters.get(id);
  if (letter === undefined) throw unknownLetter(id);
  if (asJson) io.out(json(letter));
  else {
    const { step, ...rest } = letter;
    const lines = Object.entries({ ...rest, atMs: new Date(rest.atMs).toISOString() });
    io.out([...lines.map(([key, value]) => `${key.padEnd(11)} ${String(value)}`), "", json(step)].join("\n"));
  }
  return EXIT.ok;
}

/** The owner has made a failure of it as soon as it heard of it; what is waited for still is what nobody owned then. */
async function retry(bus: NatsBus, id: string, { json: asJson }: DlqFlags, io: Io): Promise<number> {
  const letter = await bus.deadLetters.get(id);
  if (letter === undefined) throw unknownLetter(id);
  const { sessionId, stepId, attempt } = letter;
  const instance = new OrchestraInstance({ bus }, { recover: false });
  try {
    const isKnown = (await instance.getSession(sessionId)) !== null;
    const waits = isKnown ? (await instance.why(sessionId)).steps : [];
    if (!waits.some((step) => step.stepId === stepId && step.attempt === attempt))
      throw new OrchestraError(
        "ORCH_SESSION_STATE",
        `step ${stepId} of session "${sessionId}" is no longer waited for: its run went on without it; restore a checkpoint from before it, or run the session again`,
        { details: { sessionId, stepId, attempt } },
      );
    const offered = await bus.steps.offer({ ...letter.step, recovered: true });
    await bus.deadLetters.drop(id);
    io.out(asJson ? json({ id, offered }) : `step ${stepId} of session ${sessionId} is handed out again`);
    return EXIT.ok;
  } finally {
    await instance.close();
  }
}

function unknownLetter(id: string): UsageError {
  return new UsageError(`no dead letter "${id}"; orchestra dlq list names them`);
}
