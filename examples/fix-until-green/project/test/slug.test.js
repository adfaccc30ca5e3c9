import assert from "node:assert/strict";
import test from "node:test";
import { slug } from "../src/slug.js";

test("slug keeps words apart", () => assert.equal(slug("Sea Otters Sleep"), "sea-otters-sleep"));
test("slug drops what is no word", () => assert.equal(slug("Sea Otters & Friends!"), "sea-otters-friends"));
