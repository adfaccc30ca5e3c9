import { describe, expect, it } from "vitest";

import { declaredLicence, recogniseLicence } from "../../../examples/research-desk/documents/licences.ts";
import { findSubjects } from "../../../examples/research-desk/documents/subjects.ts";

const MIT = [
  "The MIT License",
  "",
  "Copyright (c) 2020 A",
  "",
  "Permission is hereby granted, free of charge, to any person",
];

describe("licences", () => {
  it.each([
    [{ license: "MIT" }, "MIT"],
    [{ license: { type: "ISC", url: "x" } }, "ISC"],
    [{ licenses: [{ type: "MIT" }, { type: "Apache-2.0" }] }, "MIT OR Apache-2.0"],
    [{ license: 7 }, undefined],
    [{}, undefined],
  ])("reads what %j declares", (manifest, expected) => {
    expect(declaredLicence(manifest)).toBe(expected);
  });

  it.each([
    [MIT, { id: "MIT", line: 5 }],
    [["Apache License", "Version 2.0, January 2004"], { id: "Apache-2.0", line: 1 }],
    [
      ["Redistribution and use in source and binary forms, with", "Neither the name of the"],
      { id: "BSD-3-Clause", line: 1 },
    ],
    [["Redistribution and use in source and binary forms, with"], { id: "BSD-2-Clause", line: 1 }],
    [["", "Permission to use, copy, modify, and/or distribute this software"], { id: "ISC", line: 2 }],
  ])("recognises a text by its own words", (lines, expected) => {
    expect(recogniseLicence(lines)).toMatchObject(expected);
  });

  it("recognises nothing in other texts", () => {
    expect(recogniseLicence(["All rights reserved."])).toBeUndefined();
  });

  it("cites the declaration and the text of a package, and reports when they differ", () => {
    const manifest = {
      path: "a/package.json",
      lines: [
        "{",
        '  "name": "a",',
        '  "version": "1.0.0",',
        '  "license": "ISC",',
        '  "description": "Keeps things"',
        "}",
      ],
    };
    const readme = { path: "a/docs/api.md", lines: ["# a"] };
    const found = findSubjects([manifest, readme, { path: "a/LICENSE", lines: MIT }]).get("a/docs/api.md");
    expect(found).toMatchObject({
      name: "a",
      version: "1.0.0",
      isPackage: true,
      description: { start: 5, quote: "Keeps things" },
    });
    expect(found?.licence).toEqual({
      subject: "a",
      licence: "ISC",
      citations: [
        { path: "a/package.json", start: 4, end: 4, quote: '"license": "ISC"' },
        { path: "a/LICENSE", start: 5, end: 5, quote: MIT[4] },
      ],
      conflict: "package.json says ISC, the licence text reads as MIT",
    });
  });

  it("takes a document outside any package for its own subject, under the nearest licence text", () => {
    const subjects = findSubjects([
      { path: "LICENSE", lines: MIT },
      { path: "guide/intro.md", lines: ["# Intro"] },
      { path: "guide/package.json", lines: ["not json"] },
    ]);
    expect(subjects.get("guide/intro.md")).toMatchObject({
      name: "guide/intro.md",
      isPackage: false,
      licence: { licence: "MIT" },
    });
  });
});
