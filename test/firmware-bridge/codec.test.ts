import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from "../../firmware-bridge/protocol/codec.ts";
import {
  type CommandName,
  commandNames,
  commandOf,
  commands,
  type Fields,
  type FieldType,
  type Reply,
  type Request,
  refusalOf,
  refusals,
} from "../../firmware-bridge/protocol/commands.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { generatedFiles } from "../../tools/accelerator/gen-protocol.ts";

const test = suite("codec");
fc.configureGlobal({ seed: 1 });

test("multiply, byte by byte", () => {
  const body = encodeRequest("multiply", { tile: 0x0102, width: 2, vectors: Uint8Array.of(7, 8) });
  assert.equal([...body], [0x02, 0x01, 2, 2, 0, 7, 8]);
});

test("a HELLO of before devices told the width of their accumulators is read as one that does not tell it", () => {
  // Of test/vectors/link/frames.json, with the features 15 where it has none.
  const old = "01010178563412d007080040efbeadde0100000001200040004000040806" + "0f00" + "08000001020304050607";
  const { features, accumulatorBits, uid } = decodeReply("hello", Uint8Array.from(Buffer.from(old, "hex")));
  assert.equal([features, accumulatorBits, uid.length], [15, 0, 8]);
});

const values: { readonly [T in FieldType]: fc.Arbitrary<number | Uint8Array> } = {
  u8: fc.integer({ min: 0, max: 255 }),
  u16: fc.integer({ min: 0, max: 65535 }),
  u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  bytes: fc.uint8Array({ maxLength: 300 }),
};
const anyOf = (fields: Fields): fc.Arbitrary<Record<string, number | Uint8Array>> =>
  fc.record(Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, values[type]])), {
    noNullPrototype: true,
  });

for (const name of commandNames) {
  test(`${name}: any request and reply survive the trip`, () => {
    fc.assert(
      fc.property(anyOf(commands[name].request), anyOf(commands[name].reply), (request, reply) => {
        const sent = encodeRequest(name, request as never as Request<CommandName>);
        assert.equal(decodeRequest(name, sent), request);
        assert.equal(decodeReply(name, encodeReply(name, reply as never as Reply<CommandName>)), reply);
      }),
      { numRuns: 50 },
    );
  });

  test(`${name}: a byte too few or too many is a failure`, () => {
    fc.assert(
      fc.property(anyOf(commands[name].reply), (reply) => {
        const bytes = encodeReply(name, reply as never as Reply<CommandName>);
        assert.ok(fails(() => decodeReply(name, Uint8Array.of(...bytes, 0))));
        if (bytes.length > 0) assert.ok(fails(() => decodeReply(name, bytes.subarray(0, -1))));
      }),
      { numRuns: 20 },
    );
  });
}

test("whatever bytes come, decoding gives a value or a Failure", () => {
  fc.assert(
    fc.property(fc.constantFrom(...commandNames), fc.uint8Array({ maxLength: 40 }), (name, bytes) => {
      fails(() => decodeReply(name, bytes));
    }),
  );
});

function fails(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch (error) {
    assert.ok(isFailure(error), String(error));
    return true;
  }
}

test("ids and refusals are unique and found again", () => {
  assert.is(new Set(commandNames.map((name) => commands[name].id)).size, commandNames.length);
  for (const name of commandNames) assert.is(commandOf(commands[name].id), name);
  for (const [name, code] of Object.entries(refusals)) assert.is(refusalOf(code), name);
});

test("what is generated from the tables is up to date (node --import tsx tools/accelerator/gen-protocol.ts)", async () => {
  for (const [path, text] of Object.entries(await generatedFiles())) assert.is(readFileSync(path, "utf8"), text, path);
});

test.run();
