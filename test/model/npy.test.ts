import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure, messageOf } from "../../runtime/base/failure.ts";
import { decodeLabels, decodeNpy, encodeNpy } from "../../runtime/tensor/npy.ts";
import { sizeOf, type Tensor } from "../../runtime/tensor/tensor.ts";

const test = suite("npy");

interface Vector {
  readonly name: string;
  readonly shape: number[];
  readonly values: number[];
  readonly file: string;
}
const vectors: Vector[] = JSON.parse(readFileSync("test/vectors/npy.json", "utf8")).arrays;
const bytesOf = (name: string): Uint8Array =>
  Uint8Array.from(Buffer.from(vectors.find((vector) => vector.name === name)?.file ?? "", "base64"));

for (const { name, shape, values } of vectors) {
  test(`reads what NumPy wrote: ${name}`, () => {
    assert.equal(decodeNpy(bytesOf(name), name), { shape, data: Float32Array.from(values) });
  });
}

for (const [name, type] of [
  ["float32", "f4"],
  ["a scalar", "f4"],
  ["no samples", "f4"],
  ["twelve axes", "f4"],
  ["uint8", "u1"],
] as const) {
  test(`writes the bytes that NumPy writes: ${name}`, () => {
    assert.equal(encodeNpy(decodeNpy(bytesOf(name), name), type), bytesOf(name));
  });
}

const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });
const arrays = (element: fc.Arbitrary<number>): fc.Arbitrary<Tensor> =>
  shapes.chain((shape) =>
    fc
      .array(element, { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
      .map((values) => ({ shape, data: Float32Array.from(values) })),
  );

test("floats survive the trip", () => {
  fc.assert(
    fc.property(arrays(fc.float({ noNaN: true, noDefaultInfinity: true })), (tensor) => {
      assert.equal(decodeNpy(encodeNpy(tensor), "x"), tensor);
    }),
  );
});

test("bytes survive the trip", () => {
  fc.assert(
    fc.property(arrays(fc.integer({ min: 0, max: 255 })), (tensor) => {
      assert.equal(decodeNpy(encodeNpy(tensor, "u1"), "x"), tensor);
    }),
  );
});

test("a part of a larger buffer is read as a file of its own", () => {
  const file = bytesOf("float32");
  const buffer = new Uint8Array(file.length + 7);
  buffer.set(file, 3);
  assert.equal(decodeNpy(buffer.subarray(3, 3 + file.length), "x").data[2], 3.25);
});

test("what does not fit into bytes is not written as bytes", () => {
  for (const value of [-1, 256, 0.5]) {
    assert.throws(() => encodeNpy({ shape: [1, 2], data: Float32Array.of(0, value) }, "u1"), /at \[0, 1\] is no whole/);
  }
});

test("a damaged file is a failure that names it, never a crash", () => {
  const file = bytesOf("float32");
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.nat(255), fc.nat(file.length), (at, byte, length) => {
      const damaged = file.slice(0, length);
      if (at < length) damaged[at] = byte;
      try {
        decodeNpy(damaged, "x.npy");
      } catch (error) {
        assert.ok(isFailure(error, "input/malformed"), String(error));
        assert.match(messageOf(error), /^x\.npy: /);
      }
    }),
    { numRuns: 2000 },
  );
});

/** A version 1.0 file with this header and so many zero bytes of data. */
function file(header: string, dataBytes = 0): Uint8Array {
  const bytes = new Uint8Array(10 + header.length + dataBytes);
  bytes.set(Buffer.from(`\x93NUMPY\x01\x00..${header}`, "latin1"));
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  return bytes;
}
const header = (descr: string, shape: string, order = "False"): string =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

test("keys may come in any order, in any quotes", () => {
  const bytes = file(`{"shape": (2,), "fortran_order": False, "descr": "<f4"}`, 8);
  assert.equal(decodeNpy(bytes, "x"), { shape: [2], data: new Float32Array(2) });
});

const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["nothing", new Uint8Array(), /not a \.npy file/],
  ["a ZIP archive (.npz)", Uint8Array.from(Buffer.from("PK\x03\x04............")), /not a \.npy file/],
  ["an unknown version", file(header("'<f4'", "(1,)"), 4).map((b, i) => (i === 6 ? 9 : b)), /version 9/],
  ["big-endian numbers", file(header("'>f4'", "(1,)"), 4), /type >f4; supported are <f4/],
  ["Python objects", file(header("'|O'", "(1,)"), 4), /type \|O/],
  ["an inherited property as type", file(header("'toString'", "(1,)"), 4), /type toString/],
  ["records", file(header("[('a', '<f4')]", "(1,)"), 4), /descr \(text\)/],
  ["a header that is no dictionary", file("hello"), /no dictionary/],
  ["a missing key", file("{'descr': '<f4', 'shape': (1,)}", 4), /fortran_order/],
  ["an unknown key", file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': True}", 4), /header of descr/],
  ["a key given twice", file("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", 4), /the header at/],
  ["code in the header", file("{'descr': open('x'), 'fortran_order': False, 'shape': ()}"), /the header at/],
  ["a shape of text", file(header("'<f4'", "('a',)"), 4), /the header at/],
  ["a shape with a hole", file(header("'<f4'", "(1,,2)"), 4), /the shape "\(1,,2\)"/],
  ["a length out of reach", file(header("'<f4'", `(${"9".repeat(400)},)`)), /the shape/],
  ["lengths that promise too much", file(header("'<f4'", "(4000000000, 4000000000)"), 4), /takes 64000000000000000000/],
  ["too few data", file(header("'<f4'", "(2,)"), 4), /takes 8 bytes, found 4/],
  ["too many data", file(header("'<f4'", "(2,)"), 12), /takes 8 bytes, found 12/],
];
for (const [what, bytes, message] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => decodeNpy(bytes, "x.npy"),
      (error: Error) => isFailure(error, "input/malformed") && message.test(error.message),
    );
  });
}

for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`refuses ${value} and says where it is`, () => {
    const data = Float32Array.of(0, 0, 0, 0, value, 0);
    assert.throws(
      () => decodeNpy(encodeNpy({ shape: [2, 3], data }), "x.npy"),
      new RegExp(`x.npy: value ${value} at \\[1, 1\\]`),
    );
  });
}

test("labels are whole numbers, one per sample", () => {
  assert.equal(decodeLabels(encodeNpy({ shape: [3], data: Float32Array.of(2, 0, 9) }), "y"), Int32Array.of(2, 0, 9));
  assert.equal(decodeLabels(encodeNpy({ shape: [2, 1], data: Float32Array.of(1, 4) }, "u1"), "y"), Int32Array.of(1, 4));
});

for (const [shape, values, message] of [
  [[2, 2], [0, 0, 0, 1], /expected labels \[N\], found \[2, 2\]/],
  [[], [1], /expected labels \[N\], found \[\]/],
  [[2], [0, -1], /label -1 at \[1\]/],
  [[2], [0, 0.5], /label 0\.5 at \[1\]/],
  [[1], [2 ** 24], /label 16777216 at \[0\]/],
] as const) {
  test(`refuses labels ${JSON.stringify(values)} of shape ${JSON.stringify(shape)}`, () => {
    assert.throws(() => decodeLabels(encodeNpy({ shape, data: Float32Array.from(values) }), "y"), message);
  });
}

test.run();
