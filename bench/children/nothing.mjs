// A process that does nothing: what Node.js itself takes to start.

console.log("{}");
