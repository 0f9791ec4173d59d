import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { TIMER } from "../../firmware-bridge/exchange.ts";
import { type OpenAccelerator, openOver } from "../../firmware-bridge/open.ts";
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from "../../firmware-bridge/protocol/codec.ts";
import { type CommandName, commands, type Reply } from "../../firmware-bridge/protocol/commands.ts";
import type { Frame } from "../../firmware-bridge/protocol/frame.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { type FailureCode, isFailure } from "../../runtime/base/failure.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { type Board, hostBoard, typescriptBoard, withKnownCells } from "../support/boards.ts";
import { delayed, distorted, interposed, type Rewrite } from "../support/interposer.ts";
import { patternLayer } from "../support/pattern-layer.ts";

/**
 * What may go wrong between the host and a device, on both devices that there are: either the products are those of a
 * clean line, bit by bit, or there are none and the failure says why.
 */
const test = suite("faults");
const NAME = "sram-bitplane-64x64";
const profile = await loadAcceleratorProfile(NAME);
/** On a bad line the noise of what is read depends on the order that requests are done in. */
const believed = withKnownCells(profile);
/** Of one frame each, so that the device does them in this order on any line; and the one that an accident happens in. */
const BATCHES = 6;
const COUNT = 15;
const LONG = 4;
const RECOVERY_MS = 3000;
const layer = patternLayer(64, 64, 20);
const inputs = Uint8Array.from({ length: 64 * COUNT * LONG }, (_, i) => ((i % (64 * COUNT)) * 131) & 0xff);

interface Bench {
  readonly board: Board;
  readonly link: OpenAccelerator;
  /** The device's end of the line that was opened last. */
  line(): Transport;
}

interface Fault {
  readonly faults?: LineFaults;
  /** Somebody on the line, seen from the device's end. */
  readonly between?: (line: Transport) => Transport;
  /** What happens in the middle of the long batch. */
  readonly accident?: (bench: Bench) => Promise<void> | void;
  /** It empties the tiles: from here on the products of a device that has just been programmed come again. */
  readonly empties?: true;
  /** The cells are read before levels are chosen. */
  readonly reads?: true;
  readonly fails?: FailureCode;
  /** The line is slow, but whole: batches may be under way together, as they are done in the order that they are asked in. */
  readonly together?: true;
}

/** Changes one field or more of a command's replies. */
function lying<C extends CommandName>(command: C, change: (reply: Reply<C>) => Partial<Reply<C>>): Rewrite {
  return (frame, towards) => {
    if (towards === "device" || frame.kind !== "reply" || frame.command !== commands[command].id) return frame;
    const reply = decodeReply(command, frame.payload);
    return { ...frame, payload: encodeReply(command, { ...reply, ...change(reply) }) };
  };
}

const says =
  (change: Partial<Reply<"hello">>): NonNullable<Fault["between"]> =>
  (line) =>
    interposed(
      line,
      lying("hello", () => change),
    );

function fromTheFuture(frame: Frame, towards: "device" | "host"): Frame {
  if (towards === "host" || frame.command !== commands.hello.id) return frame;
  const { nonce } = decodeRequest("hello", frame.payload);
  return { ...frame, payload: encodeRequest("hello", { protocolMin: 7, protocolMax: 9, nonce }) };
}

/** One bit of what is written never changes. */
function stuck(frame: Frame, towards: "device" | "host"): Frame {
  if (towards === "host" || frame.command !== commands.writeTile.id) return frame;
  const { tile, offset, levels } = decodeRequest("writeTile", frame.payload);
  const kept = levels.map((level, i) => (offset + i === 5 ? level ^ 1 : level));
  return { ...frame, payload: encodeRequest("writeTile", { tile, offset, levels: kept }) };
}

const bootText = new TextEncoder().encode("\r\nU-Boot SPL 2026.07 (Nov 22 2026)\r\nTrying to boot from MMC1\r\n");

const table: Readonly<Record<string, Fault>> = {
  "bit flips": { faults: { seed: 1, byteErrors: 1e-4 } },
  drops: { faults: { seed: 2, drops: 0.05 } },
  duplicates: { faults: { seed: 3, duplicates: 0.5 } },
  reordering: { faults: { seed: 4, reorders: 0.1 } },
  "every byte by itself": { faults: { seed: 5, shreds: true } },
  "boot text": { accident: ({ line }) => line().write(bootText) },
  "a slow device": { between: (line) => delayed(line, TIMER.minMs + 10), together: true },
  "a brown-out": { accident: ({ board }) => board.brownOut(), empties: true },
  "a reset in the middle of a batch": {
    empties: true,
    async accident({ link }) {
      await link.session.request("reset", {});
    },
  },
  "a pulled cable": {
    empties: true,
    async accident({ board, link, line }) {
      await line().close();
      board.brownOut();
      await link.recover();
    },
  },
  "another baud rate": { between: (line) => distorted(line, (byte) => (byte << 3) | 0x41), fails: "bridge/timeout" },
  "another protocol": { between: (line) => interposed(line, fromTheFuture), fails: "bridge/protocol-version" },
  "a stuck cell of a tile": { between: (line) => interposed(line, stuck), fails: "bridge/bad-reply" },
  "a lie about its rows": { between: says({ rows: 128 }), fails: "bridge/wrong-device" },
  "a lie about its converters": { between: says({ adcBits: 8 }), fails: "bridge/wrong-device" },
  "frames of no length": { between: says({ mtu: 0 }), fails: "bridge/wrong-device" },
  "frames of any length": { between: says({ mtu: 65535 }), fails: "bridge/wrong-device" },
  "no window": { between: says({ window: 0 }), fails: "bridge/wrong-device" },
  "a window that it does not have": { between: says({ window: 64, bufferBytes: 65535 }) },
  "sums that are missing": {
    between: (line) =>
      interposed(
        line,
        lying("multiply", ({ sums }) => ({ sums: sums.subarray(2) })),
      ),
    fails: "bridge/bad-reply",
  },
  "cells that are missing": {
    reads: true,
    between: (line) =>
      interposed(
        line,
        lying("readRow", ({ sums }) => ({ sums: sums.subarray(2) })),
      ),
    fails: "bridge/bad-reply",
  },
};

/** The products of short batches, of a long one with the accident, of short ones again; and how long the long one and the next took. */
async function products(board: Board, fault: Fault): Promise<{ sums: number[][]; longMs: number }> {
  let far: Transport;
  const connect = async (): Promise<Transport> => {
    const [host, end] = pair(fault.faults);
    far = end;
    board.plug(fault.between?.(end) ?? end);
    return host;
  };
  const link = await openOver(connect, fault.reads ? profile : believed, undefined, {
    helloEveryMs: 50,
    helloTries: 10,
  });
  try {
    const unit = await link.place([layer]);
    const sums: number[][] = [];
    const short = async (): Promise<void> => {
      sums.push([...(await unit.multiply("layer", inputs.subarray(0, 64 * COUNT), COUNT))]);
    };
    const shorts = async (count: number): Promise<void> => {
      if (fault.together) await Promise.all(Array.from({ length: count }, short));
      else for (let i = 0; i < count; i++) await short();
    };
    await shorts(BATCHES);
    const began = performance.now();
    // Without an accident frame by frame: what is repeated may be overtaken, and the noise comes in another order.
    if (fault.accident) {
      const batch = unit.multiply("layer", inputs, LONG * COUNT).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 3));
      await fault.accident({ board, link, line: () => far });
      const got = (await batch) ?? (await unit.multiply("layer", inputs, LONG * COUNT));
      for (let i = 0; i < LONG; i++) sums.push([...got.subarray(i * COUNT * 64, (i + 1) * COUNT * 64)]);
    } else await shorts(LONG);
    await short();
    const longMs = performance.now() - began;
    await shorts(BATCHES - 1);
    return { sums, longMs };
  } finally {
    await link.close();
  }
}

/** An accident in the long batch has it done again as a whole; one after it leaves what was done. */
function expected(empties: boolean, sums: readonly number[][]): readonly number[][] {
  if (!empties) return clean;
  const before = same(sums[BATCHES], clean[BATCHES]) ? BATCHES + LONG : BATCHES;
  return [...clean.slice(0, before), ...clean].slice(0, clean.length);
}

const same = (a: readonly number[] = [], b: readonly number[] = []): boolean => a.every((value, i) => value === b[i]);

const recoveries: string[] = [];
const clean = (await products(typescriptBoard(profile), {})).sums;
const missing = missingPrograms("make", "cc");
if (missing) process.stdout.write(`skipped: faults of the C firmware: ${missing}\n`);
const boards: Readonly<Record<string, () => Board>> = {
  TypeScript: () => typescriptBoard(profile),
  ...(missing ? {} : { C: () => hostBoard(buildFirmware(`host-${NAME}`, ["SANITIZE=1"])) }),
};

async function withstands(name: string, fault: Fault, language: string, board: Board): Promise<void> {
  const outcome = await products(board, fault).catch((error: unknown) => error);
  if (fault.fails) {
    assert.ok(isFailure(outcome, fault.fails), `${language}: ${outcome}`);
    return;
  }
  if (outcome instanceof Error) throw outcome;
  const { sums, longMs } = outcome as Awaited<ReturnType<typeof products>>;
  for (const [i, batch] of expected(fault.empties === true, sums).entries()) {
    assert.ok(same(sums[i], batch) && batch.length > 0, `${language}: the products of batch ${i}`);
  }
  // On a line that goes on being bad there is nothing to recover to: the products are all that counts.
  if (!fault.accident) return;
  assert.ok(longMs < RECOVERY_MS, `${language}: recovered after ${longMs.toFixed(0)} ms`);
  recoveries.push(`${name} (${language}) ${longMs.toFixed(0)} ms`);
}

/** Most of the time is waiting, so the boards wait together. */
for (const [name, fault] of Object.entries(table)) {
  test(`${name}: ${fault.fails ?? "the products of a clean line"}`, async () => {
    await Promise.all(
      Object.entries(boards).map(async ([language, make]) => {
        const board = make();
        await withstands(name, fault, language, board).finally(() => board.stop());
      }),
    );
  });
}
test.after(() => {
  process.stdout.write(`  recovered: ${recoveries.join(", ")}\n`);
});

test.run();
