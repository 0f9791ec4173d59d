import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("structure");

/** A file may import from its own folder and from the folders above its own in this list. */
const layers = [
  "runtime/base",
  "runtime/tensor",
  "runtime/model",
  "runtime/quantize",
  "device-profiles",
  "runtime/kernels",
  "runtime/plan",
  "runtime/polarize",
  "firmware-bridge",
  "runtime/store",
  "runtime/trust",
  "runtime/health",
  "runtime/fleet",
  "runtime/serve",
  "runtime/agent",
  "runtime",
  "tools",
  "test",
];

const files = ["runtime", "device-profiles", "firmware-bridge", "tools", "test"]
  .flatMap((top) => readdirSync(top, { recursive: true, encoding: "utf8" }).map((path) => join(top, path)))
  .filter((path) => path.endsWith(".ts") && !path.includes("/assembly/"));

const layerOf = (path: string): number => layers.findIndex((layer) => path.startsWith(`${layer}/`));
const importsOf = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(/(?:from|import) ?\(?"(\.[^"]+)"/g)].map(([, target = ""]) =>
    normalize(join(dirname(file), target)),
  );

test("imports only go down", () => {
  for (const file of files) {
    for (const path of importsOf(file)) {
      assert.ok(layerOf(file) >= 0 && layerOf(path) <= layerOf(file), `${file} imports ${path}`);
    }
  }
});

test("tfjs is loaded in one place", () => {
  const users = files.filter((path) => / from "@tensorflow|import\("@tensorflow/.test(readFileSync(path, "utf8")));
  assert.equal(
    users.filter((path) => !path.startsWith("tools/train") && !path.startsWith("test/")),
    ["runtime/kernels/float/tfjs.ts"],
  );
});

test("every test file runs its suite", () => {
  for (const file of files.filter((path) => path.endsWith(".test.ts"))) {
    assert.match(readFileSync(file, "utf8"), /^test\.run\(\);$/m, file);
  }
});

test.run();
