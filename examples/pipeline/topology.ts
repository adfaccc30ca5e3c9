import { PatternConfig } from "orchestra";

export const topology = PatternConfig.pipeline({
  stages: [
    { name: "read", agents: ["Reader"] },
    { name: "measure", agents: ["WordCounter", "VowelCounter"] },
    { name: "report", agents: ["Reporter"] },
  ],
  parallelWithinStage: true,
});
