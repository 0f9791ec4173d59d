import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { xxh32 } from "../../runtime/base/xxh32.ts";

const test = suite("checksum");

/** As `xxhsum -H0` prints them: shorter than a stripe, whole words, and with bytes left over. */
const known: readonly [text: string, checksum: number][] = [
  ["", 0x02cc5d05],
  ["a", 0x550d7456],
  ["abc", 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0xe2293b2f],
];

test("XXH32 of known texts", () => {
  for (const [text, checksum] of known) assert.is(xxh32(new TextEncoder().encode(text)), checksum, text);
});

test("wherever the bytes lie in memory", () => {
  const room = new Uint8Array(64);
  const bytes = new TextEncoder().encode("Nobody inspects the spammish repetition");
  for (let at = 0; at < 8; at++) {
    room.set(bytes, at);
    assert.is(xxh32(room.subarray(at, at + bytes.length)), 0xe2293b2f);
  }
});

test("no damage within one byte goes unnoticed, wherever it is", () => {
  const next = uniform(1);
  const file = new Uint8Array(203).map(() => 256 * next());
  const checksum = xxh32(file);
  for (let at = 0; at < file.length; at++) {
    for (let bits = 1; bits < 256; bits++) {
      file[at] ^= bits;
      assert.is.not(xxh32(file), checksum);
      file[at] ^= bits;
    }
  }
});

test.run();
