import { Orchestra } from "orchestra";
import { topology } from "./topology.ts";

interface Ticket {
  readonly urgent: boolean;
  readonly amount: number;
}

const desk = (name: string) => (ticket: Ticket) => `${name} takes ${JSON.stringify(ticket)}`;

for (const ticket of [
  { urgent: true, amount: 500 },
  { urgent: false, amount: 500 },
  { urgent: false, amount: 5 },
]) {
  const result = await Orchestra.run({
    task: ticket,
    topology,
    agents: {
      Triage: (seen: Ticket) => seen,
      Urgent: desk("Urgent"),
      Billing: desk("Billing"),
      Everything: desk("Everything"),
    },
    conditions: { isUrgent: ({ output }) => output.urgent },
  });
  console.log(result.orThrow().finalResponse);
}
