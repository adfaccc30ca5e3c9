// Imports what the other scenarios use of LangGraph.js.

await import("@langchain/langgraph");
console.log("{}");
