import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { documents, linesIn, missing, readScript } from "../support/documents.ts";

const test = suite("documents");

test("links lead to files that are there", () => {
  for (const path of documents()) {
    for (const [, target = ""] of readFileSync(path, "utf8").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(dirname(path), target)), `${path}: ${target}`);
    }
  }
});

test("files that a document names in its folder's tables are there", () => {
  for (const folder of ["tools", "firmware-bridge", "test"]) {
    for (const [, name = ""] of readFileSync(join(folder, "README.md"), "utf8").matchAll(
      /^\| `([\w-]+[./][\w./-]*)`/gm,
    )) {
      assert.ok(existsSync(join(folder, name)), `${folder}/README.md: ${name}`);
    }
  }
});

test("commands and what they print are told apart", () => {
  assert.equal(linesIn("$ one --a \\\n    --b   # why\nyes\n$ two\n"), [
    { command: "one --a --b", expected: ["yes"] },
    { command: "two", expected: [] },
  ]);
  const { files, lines, elsewhere } = readScript("tools/fleet/FIRST-FLEET.md");
  assert.ok(JSON.parse(files.get("polaredge.json") ?? "").device && lines.length > 10 && elsewhere === 0);
  assert.ok(readScript("tools/deploy/RASPBERRY-PI.md").elsewhere > 5);
});

const found = "✓ disk   store: 71957 MB free\n\nnf4 corrected    95.3 %   +1.5 s\nkws-1.0.0-mwrztmx0: done\nlast";
const cases: readonly (readonly [what: string, expected: string[], lacks: string | undefined])[] = [
  ["other numbers, widths and names are fine", ["✓ disk  store: 9 MB free", "nf4 corrected 7.1 % +20 µs"], undefined],
  ["a digest or time-based name may differ", ["kws-1.0.0-abc1def2: done"], undefined],
  ["also one without a digit", ["kws-1.0.0-mwsfyyij: done"], undefined],
  ["lines in between may be left out", ["✓ disk store: 1 MB free", "...", "last"], undefined],
  ["a line may be cut short", ["nf4 corr..."], undefined],
  ["another word is found out", ["✗ disk store: 9 MB free"], "✗ disk store: 9 MB free"],
  ["so is another order", ["last", "nf4 corrected 7.1 % +20 µs"], "nf4 corrected 7.1 % +20 µs"],
];
for (const [what, expected, lacks] of cases) test(what, () => assert.is(missing(expected, found), lacks));

test.run();
