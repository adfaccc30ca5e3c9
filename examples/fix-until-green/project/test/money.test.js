import assert from "node:assert/strict";
import test from "node:test";
import { money } from "../src/money.js";

test("money shows both digits", () => assert.equal(money(50), "0.50"));
test("money groups thousands", () => assert.equal(money(1234567), "12,345.67"));
