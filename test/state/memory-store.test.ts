import * as vitest from "vitest";
import { memoryStorage } from "../../src/state/memory-store.ts";
import { sessionStoreContract } from "../../src/testing/session-store-contract.ts";

sessionStoreContract("memoryStorage", async () => memoryStorage(), vitest);
