import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { families } from "../../runtime/kernels/family.ts";

/**
 * What must hold of the compiled modules themselves: https://webassembly.github.io/spec/core/binary/modules.html
 */
const test = suite("kernel modules");

const TYPE_SECTION = 1;
const V128 = 0x7b;

/** Sizes and counts: LEB128, unsigned. */
class Cursor {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  number(): number {
    const byte = this.#bytes[this.at++];
    return byte < 128 ? byte : byte - 128 + 128 * this.number();
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.number() }, item);
  }
}

/** For each type of function the types of its parameters and results. */
function signaturesOf(module: Uint8Array): number[][] {
  const cursor = new Cursor(module, 8);
  while (cursor.at < module.length) {
    const section = cursor.number();
    const end = cursor.number() + cursor.at;
    if (section === TYPE_SECTION) {
      return cursor.list(() => {
        assert.is(cursor.number(), 0x60, "a function");
        return [...cursor.list(() => cursor.number()), ...cursor.list(() => cursor.number())];
      });
    }
    cursor.at = end;
  }
  return [];
}

const modules = families.map((family) => ({ family, bytes: readFileSync(`runtime/kernels/${family}.wasm`) }));

for (const { family, bytes } of modules) {
  test(`${family}: no function that is called takes or returns vectors, which ends V8's revectorizer`, () => {
    const signatures = signaturesOf(bytes);
    assert.ok(signatures.length > 0);
    for (const types of signatures) assert.not.ok(types.includes(V128), `a function of ${types}`);
  });
}

test("such a function would be found", () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const types = [TYPE_SECTION, 9, 2, 0x60, 0, 1, 0x7f, 0x60, 1, V128, 0];
  assert.equal(signaturesOf(Uint8Array.from([...header, ...types])), [[0x7f], [V128]]);
});

test("all of them fit 32 KiB", () => {
  assert.ok(modules.reduce((sum, { bytes }) => sum + bytes.length, 0) <= 32 * 1024);
});

test.run();
