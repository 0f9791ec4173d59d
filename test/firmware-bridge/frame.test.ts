import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cobsBound, cobsDecode, cobsEncode } from "../../firmware-bridge/protocol/cobs.ts";
import { crc32, tableCrc32 } from "../../firmware-bridge/protocol/crc.ts";
import {
  Deframer,
  encodeFrame,
  type Frame,
  type FrameKind,
  MAX_PAYLOAD,
  wireBytes,
} from "../../firmware-bridge/protocol/frame.ts";

const test = suite("frame");
fc.configureGlobal({ seed: 1 });
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const run = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
const encoded = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array(cobsBound(data.length));
  return out.subarray(0, cobsEncode(data, out, 0));
};
const plain = ({ payload, ...rest }: Frame): object => ({ ...rest, payload: hex(payload) });
const received = (deframer: Deframer, ...chunks: Uint8Array[]): object[] =>
  chunks.flatMap((chunk) => deframer.push(chunk)).map(plain);
const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

// The examples of Cheshire and Baker's paper, as in Wikipedia's table.
const cobs: [name: string, plain: Uint8Array, encoded: Uint8Array][] = [
  ["empty", bytes(), bytes(1)],
  ["one zero", bytes(0), bytes(1, 1)],
  ["two zeros", bytes(0, 0), bytes(1, 1, 1)],
  ["zero inside", bytes(0x11, 0x22, 0, 0x33), bytes(3, 0x11, 0x22, 2, 0x33)],
  ["no zeros", bytes(0x11, 0x22, 0x33, 0x44), bytes(5, 0x11, 0x22, 0x33, 0x44)],
  ["trailing zeros", bytes(0x11, 0, 0, 0), bytes(2, 0x11, 1, 1, 1)],
  ["zero and 254 bytes", bytes(0, ...run(1, 254)), bytes(1, 0xff, ...run(1, 254), 1)],
  ["255 bytes", bytes(...run(1, 255)), bytes(0xff, ...run(1, 254), 2, 255)],
];

for (const [name, data, block] of cobs) {
  test(`cobs: ${name}`, () => {
    assert.is(hex(encoded(data)), hex(block));
    assert.is(hex(cobsDecode(block) ?? bytes(99)), hex(data));
  });
}

test("cobs: any data survives the trip, without a zero byte and within the bound", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200, max: 3 }), (data) => {
      const block = encoded(data);
      assert.not(block.includes(0));
      assert.ok(block.length <= cobsBound(data.length));
      assert.is(hex(cobsDecode(block) ?? bytes(99)), hex(data));
    }),
  );
});

test("crc32 has the check value of CRC-32/ISO-HDLC, and zlib agrees with the table", () => {
  assert.is(tableCrc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (data) => crc32(data) === tableCrc32(data)));
});

const frame = (kind: FrameKind, payload: Uint8Array): Frame => ({
  kind,
  command: 0x20,
  sequence: 7,
  ack: 250,
  payload,
});
const three = [frame("request", bytes(1, 0, 2)), frame("reply", bytes()), frame("refusal", bytes(0, 0, 5))];

test("frames arrive whole wherever the stream was cut", () => {
  const stream = joined(...three.map(encodeFrame));
  for (let cut = 0; cut <= stream.length; cut++) {
    const got = received(new Deframer(), stream.subarray(0, cut), stream.subarray(cut));
    assert.equal(got, three.map(plain), `cut at ${cut}`);
  }
  const deframer = new Deframer();
  assert.equal(received(deframer, ...[...stream].map((byte) => bytes(byte))), three.map(plain), "byte by byte");
  assert.equal(deframer.counters, { frames: 3, malformed: 0, crcErrors: 0 });
});

test("any frame survives the trip and stays within wireBytes", () => {
  const anyFrame = fc.record({
    kind: fc.constantFrom<FrameKind>("request", "reply", "refusal"),
    command: fc.integer({ min: 0, max: 255 }),
    sequence: fc.integer({ min: 0, max: 255 }),
    ack: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: MAX_PAYLOAD, size: "max" }),
  });
  fc.assert(
    fc.property(anyFrame, (sent) => {
      const wire = encodeFrame(sent);
      assert.ok(wire.length <= wireBytes(sent.payload.length));
      assert.equal(received(new Deframer(), wire), [plain(sent)]);
    }),
  );
});

test("a flipped bit costs its frame and not the one behind it", () => {
  const [first, second] = [encodeFrame(three[0]), encodeFrame(three[2])];
  for (let at = 1; at < first.length - 1; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = first.slice();
      damaged[at] ^= 1 << bit;
      const deframer = new Deframer();
      assert.equal(received(deframer, damaged, second), [plain(three[2])], `bit ${bit} of byte ${at}`);
      assert.ok(deframer.counters.malformed + deframer.counters.crcErrors >= 1);
    }
  }
});

test("noise in front costs nothing, because a frame begins with a zero", () => {
  const deframer = new Deframer();
  const noise = new TextEncoder().encode("boot: v1.2 ready\r\n");
  assert.equal(received(deframer, noise, encodeFrame(three[0])), [plain(three[0])]);
  assert.is(deframer.counters.malformed, 1);
});

test("a block without end is dropped at the next zero", () => {
  const deframer = new Deframer();
  for (let i = 0; i < 100; i++) assert.equal(received(deframer, new Uint8Array(4096).fill(7)), []);
  assert.equal(received(deframer, encodeFrame(three[0])), [plain(three[0])]);
  assert.equal(deframer.counters, { frames: 1, malformed: 1, crcErrors: 0 });
});

test("whatever bytes come, nothing is thrown and no frame is made up", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      assert.equal(received(new Deframer(), ...chunks), []);
    }),
    { numRuns: 500 },
  );
});

test("a payload above the limit is refused", () => {
  assert.throws(() => encodeFrame(frame("request", new Uint8Array(MAX_PAYLOAD + 1))), /2001 bytes/);
});

interface Vector {
  readonly about: string;
  readonly frame: Omit<Frame, "payload"> & { readonly payload: string };
  readonly wire: string;
}
const vectors: Vector[] = JSON.parse(readFileSync("test/vectors/link/frames.json", "utf8"));
for (const vector of vectors) {
  test(`golden: ${vector.about}`, () => {
    const payload = Uint8Array.from(Buffer.from(vector.frame.payload, "hex"));
    assert.is(hex(encodeFrame({ ...vector.frame, payload })), vector.wire);
    assert.equal(received(new Deframer(), Buffer.from(vector.wire, "hex")), [vector.frame]);
  });
}

test.run();
