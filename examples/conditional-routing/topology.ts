import { Edge } from "orchestra";

export const topology = {
  nodes: ["Triage", "Urgent", "Billing", "Everything"],
  edges: [
    Edge("Triage", "Urgent", { condition: "isUrgent" }),
    Edge("Triage", "Billing", { condition: "output.amount > 100 && !output.urgent" }),
    Edge("Triage", "Everything", { else: true }),
  ],
};
