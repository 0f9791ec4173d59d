import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { Flash } from "../../firmware-bridge/emulator/flash.ts";
import {
  confirmImage,
  type ImageState,
  readImages,
  resetDevice,
  testImage,
  uploadImage,
} from "../../firmware-bridge/management/client.ts";
import { makeImage, parseImage, sha256, versionNumber } from "../../firmware-bridge/management/image.ts";
import { encodeSmp, smpOps } from "../../firmware-bridge/management/smp.ts";
import { updateFirmware } from "../../firmware-bridge/management/update.ts";
import { decodeReply, encodeReply } from "../../firmware-bridge/protocol/codec.ts";
import { commands } from "../../firmware-bridge/protocol/commands.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { type FailureCode, isFailure } from "../../runtime/base/failure.ts";
import { uniform } from "../../runtime/base/random.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { type Board, hostBoard, typescriptBoard } from "../support/boards.ts";
import { interposed, type Rewrite } from "../support/interposer.ts";

const test = suite("management");
const NAME = "sram-bitplane-64x64";
const profile = await loadAcceleratorProfile(NAME);
/** As in firmware/boards/host.c. */
const [BOARD, SLOT_BYTES] = ["host", 65536];
const next = uniform(5);
const program = Uint8Array.from({ length: 30_000 }, () => Math.floor(256 * next()));
const image = makeImage({ version: "1.2.3", board: BOARD, program });
const { hash } = parseImage(image);

const missing = missingPrograms("make", "cc");
if (missing) process.stdout.write(`skipped: management of the C firmware: ${missing}\n`);
const folder = await mkdtemp(join(tmpdir(), "polaredge-management-"));
let files = 0;
const boards: Readonly<Record<string, () => Promise<Board>>> = {
  TypeScript: async () => typescriptBoard(profile, new Flash(BOARD, SLOT_BYTES)),
  ...(missing
    ? {}
    : {
        C: async () => {
          const file = join(folder, String(files++));
          await writeFile(file, Buffer.concat([...new Flash(BOARD, SLOT_BYTES).slots, Uint8Array.of(0)]));
          return hostBoard(buildFirmware(`host-${NAME}`, ["SANITIZE=1"]), file);
        },
      }),
};

const open: { session: Session | undefined; board: Board | undefined } = { session: undefined, board: undefined };
test.after.each(async () => {
  await open.session?.close();
  await open.board?.stop();
  open.session = undefined;
  open.board = undefined;
});
test.after(() => rm(folder, { recursive: true }));

interface Line {
  readonly faults?: LineFaults;
  readonly rewrite?: Rewrite;
}

/** Plugs the board in and opens a session, after ending the one before. */
async function connect(board: Board, { faults, rewrite }: Line = {}): Promise<Session> {
  await open.session?.close();
  const plug = async (): Promise<Transport> => {
    const [host, far] = pair(faults);
    board.plug(rewrite ? interposed(far, rewrite) : far);
    return host;
  };
  open.board = board;
  open.session = await Session.open(plug, { helloEveryMs: 100 });
  return open.session;
}

async function refused(code: FailureCode, attempt: Promise<unknown>): Promise<void> {
  const outcome = await attempt.then(
    () => "nothing was refused",
    (error: unknown) => error,
  );
  assert.ok(isFailure(outcome, code), String(outcome));
}

const shown = (images: readonly ImageState[]): string[] =>
  images.map(
    ({ slot, version, active, confirmed, pending }) =>
      `${slot}: ${version}${active ? " active" : ""}${confirmed ? " confirmed" : ""}${pending ? " pending" : ""}`,
  );

/** Waits until a device that lost its power has said hello. */
async function brownOut(board: Board, session: Session): Promise<void> {
  const back = new Promise<void>((resolve) => {
    const end = session.listen(() => {
      end();
      resolve();
    });
  });
  board.brownOut();
  await back;
}

for (const [language, make] of Object.entries(boards)) {
  test(`${language}: an image is sent, tried, confirmed, and stays`, async () => {
    const board = await make();
    const session = await connect(board);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 active confirmed"]);
    assert.is(session.device.firmware, 1);
    const sent: number[] = [];
    const update = await updateFirmware(session, image, (bytes) => sent.push(bytes));
    assert.equal(
      { ...update, weak: undefined },
      { from: "0.0.1", to: "1.2.3", hash, bytes: image.length, resumedAt: 0, weak: undefined },
    );
    assert.is(sent.at(-1), image.length);
    assert.is(session.device.firmware, versionNumber("1.2.3"));
    await brownOut(board, session);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1", "1: 1.2.3 active confirmed"]);
    assert.is((await updateFirmware(session, image)).resumedAt, image.length);
  });

  test(`${language}: an upload that was interrupted goes on where it stopped`, async () => {
    const board = await make();
    let stoppedAt = 0;
    const stop = (sent: number): void => {
      stoppedAt = sent;
      if (sent > image.length / 2) throw new Error("unplugged");
    };
    const broken = updateFirmware(await connect(board), image, stop);
    assert.match(String(await broken.catch((error: unknown) => error)), /unplugged/);
    const update = await updateFirmware(await connect(board), image);
    assert.is(update.resumedAt, stoppedAt);
    assert.ok(stoppedAt > image.length / 2 && stoppedAt < image.length);
  });

  test(`${language}: a power cut in the middle of an upload leaves the old image, and the upload begins anew`, async () => {
    const board = await make();
    const session = await connect(board);
    const stop = (sent: number): void => {
      if (sent > image.length / 2) throw new Error("stop");
    };
    await uploadImage(session, image, stop).catch(() => {});
    await brownOut(board, session);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 active confirmed"]);
    assert.is((await updateFirmware(session, image)).resumedAt, 0);
  });

  test(`${language}: a power cut between trial and confirmation brings the old image back`, async () => {
    const board = await make();
    const session = await connect(board);
    await uploadImage(session, image);
    assert.equal(shown(await testImage(session, hash)), ["0: 0.0.1 active confirmed", "1: 1.2.3 pending"]);
    await resetDevice(session);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 confirmed", "1: 1.2.3 active"]);
    await refused("firmware/refused", uploadImage(session, image));
    await brownOut(board, session);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 active confirmed", "1: 1.2.3"]);
    assert.is(session.device.firmware, 1);
    // All of it is there, so nothing is sent again; and a trial that somebody else left is ended first.
    await testImage(session, hash);
    await resetDevice(session);
    assert.is((await updateFirmware(session, image)).resumedAt, image.length);
    assert.equal(shown(await readImages(session)), ["0: 0.0.1", "1: 1.2.3 active confirmed"]);
  });

  test(`${language}: firmware whose self-test finds more than before is taken back`, async () => {
    let tests = 0;
    const session = await connect(await make(), {
      rewrite(frame, towards) {
        if (towards === "device" || frame.kind !== "reply" || frame.command !== commands.selfTest.id) return frame;
        const reply = decodeReply("selfTest", frame.payload);
        const weak = reply.weak + Number(++tests > profile.array.tiles);
        return { ...frame, payload: encodeReply("selfTest", { ...reply, weak }) };
      },
    });
    await refused("firmware/reverted", updateFirmware(session, image));
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 active confirmed", "1: 1.2.3"]);
  });

  test(`${language}: what is damaged, for another board, too large or not there is refused and leaves nothing`, async () => {
    const session = await connect(await make());
    const bent = (at: number): Uint8Array => image.map((byte, i) => (i === at ? byte ^ 1 : byte));
    for (const at of [0, 9, 13, 5000, image.length - 1]) {
      await refused("firmware/damaged", uploadImage(session, bent(at)));
      await refused("firmware/damaged", updateFirmware(session, bent(at)));
    }
    await refused("firmware/damaged", uploadImage(session, image.subarray(0, image.length - 1)));
    const foreign = makeImage({ version: "1.2.3", board: "lm3s6965evb", program });
    await refused("firmware/wrong-board", updateFirmware(session, foreign));
    await refused("firmware/refused", uploadImage(session, new Uint8Array(SLOT_BYTES + 1)));
    await refused("firmware/refused", testImage(session, hash));
    await refused("firmware/refused", confirmImage(session, hash));
    assert.equal(shown(await readImages(session)), ["0: 0.0.1 active confirmed"]);
  });

  test(`${language}: bytes that are not those of the announced digest are refused`, async () => {
    const session = await connect(await make());
    const lying = { off: 0, len: image.length, sha: sha256(program), data: image.subarray(0, 1000) };
    const ask = (values: Record<string, unknown>): Promise<{ message: Uint8Array }> =>
      session.request("manage", { message: encodeSmp(smpOps.write, "upload", values) });
    await ask(lying);
    let rc: Uint8Array = new Uint8Array();
    for (let off = 1000; off < image.length; off += 1000) {
      rc = (await ask({ off, data: image.subarray(off, off + 1000) })).message.subarray(8);
    }
    // {"rc": 9}
    assert.equal([...rc], [0xa1, 0x62, 0x72, 0x63, 9]);
    assert.is((await readImages(session)).length, 1);
  });

  test(`${language}: it also works on a bad line`, async () => {
    const faults = { seed: 8, byteErrors: 1e-4, drops: 0.02, duplicates: 0.2, shreds: true };
    const session = await connect(await make(), { faults });
    assert.is((await updateFirmware(session, image)).to, "1.2.3");
  });

  test(`${language}: whatever is sent as SMP, it answers, and what it runs stays`, async () => {
    const session = await connect(await make());
    const begin = { off: 0, len: 4000, sha: sha256(program), data: image.subarray(0, 90) };
    const good = [
      encodeSmp(smpOps.read, "state", {}),
      encodeSmp(smpOps.write, "state", { hash: sha256(program), confirm: false }),
      encodeSmp(smpOps.write, "upload", begin),
      encodeSmp(smpOps.write, "echo", { d: "hello", more: [{ a: 1.5 }, -1, null] }),
    ];
    const bent = fc.record({
      message: fc.constantFrom(...good),
      changes: fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }),
      tail: fc.uint8Array({ maxLength: 40 }),
      cut: fc.nat(200),
      sealed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(bent, async ({ message, changes, tail, cut, sealed }) => {
        const bytes = Uint8Array.from([...message.subarray(0, 8 + cut), ...tail]);
        for (const [at, value] of changes) if (8 + at < bytes.length) bytes[8 + at] = value;
        if (sealed) bytes.set([(bytes.length - 8) >> 8, (bytes.length - 8) & 0xff], 2);
        await session.request("manage", { message: bytes }).catch((error: unknown) => {
          if (!isFailure(error, "bridge/refused")) throw error;
        });
      }),
      { numRuns: 1500, seed: 11 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (message) => {
        await session.request("manage", { message }).catch((error: unknown) => {
          if (!isFailure(error, "bridge/refused")) throw error;
        });
      }),
      { numRuns: 300, seed: 12 },
    );
    assert.is(shown(await readImages(session))[0], "0: 0.0.1 active confirmed");
    assert.is(session.health.resets + session.health.losses, 0);
  });
}

test("both devices say the same, byte by byte", async () => {
  const begin = { off: 0, len: image.length, sha: sha256(image), data: image.subarray(0, 1900) };
  const messages = [
    encodeSmp(smpOps.read, "state", {}),
    encodeSmp(smpOps.write, "echo", { d: "straße" }),
    encodeSmp(smpOps.write, "echo", { d: "x".repeat(300) }),
    encodeSmp(smpOps.read, "reset", {}),
    encodeSmp(smpOps.write, "upload", { off: 5, data: program.subarray(0, 5) }),
    encodeSmp(smpOps.write, "upload", begin),
    ...Array.from({ length: Math.ceil(image.length / 1900) - 1 }, (_, i) => {
      const off = 1900 * (i + 1);
      return encodeSmp(smpOps.write, "upload", { off, data: image.subarray(off, off + 1900) });
    }),
    encodeSmp(smpOps.write, "upload", begin),
    encodeSmp(smpOps.write, "state", {}),
    encodeSmp(smpOps.write, "state", { hash: sha256(program) }),
    encodeSmp(smpOps.write, "state", { hash: Buffer.from(hash, "hex"), confirm: true }),
    encodeSmp(smpOps.write, "state", { hash: Buffer.from(hash, "hex") }),
    Uint8Array.of(2, 0, 0, 1, 0, 9, 7, 9, 0xa0),
    Uint8Array.of(2, 0, 0, 1, 0, 0, 7, 0, 0xa1),
  ];
  const said: Buffer[][] = [];
  for (const make of Object.values(boards)) {
    const session = await connect(await make());
    const answers: Buffer[] = [];
    for (const message of messages) answers.push(Buffer.from((await session.request("manage", { message })).message));
    said.push(answers);
  }
  for (const answers of said) for (const [i, answer] of answers.entries()) assert.equal(answer, said[0]?.[i], `${i}`);
  assert.ok((said[0]?.length ?? 0) > 20);
});

test("a board that cannot replace its firmware says so", async () => {
  const session = await connect(typescriptBoard(profile));
  await refused("firmware/unsupported", updateFirmware(session, image));
  await refused("bridge/refused", readImages(session));
});

test.run();
