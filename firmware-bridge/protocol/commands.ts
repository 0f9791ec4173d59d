/** The versions of NPP-Link that this side speaks. */
export const PROTOCOL = { min: 1, max: 1 } as const;

/** What a field is on the wire. All numbers are little-endian; `bytes` is a u16 length and then that many bytes. */
export type FieldType = "u8" | "u16" | "u32" | "i32" | "bytes";
export type Fields = Readonly<Record<string, FieldType>>;

export interface CommandSpec {
  readonly id: number;
  readonly about: string;
  readonly request: Fields;
  readonly reply: Fields;
}

/**
 * The whole protocol. Types, codec and the C header (tools/accelerator/gen-protocol.ts) follow from this table. Every command may
 * be executed twice without harm, so a lost reply costs a repetition and nothing else.
 */
export const commands = {
  hello: {
    id: 0x01,
    about:
      "Opens a session. protocol 0 in the reply: no version in common; nonce 0: the device has just started. accumulatorBits: width of the register that a column's codes are added up in; 0, as older devices say: not told.",
    request: { protocolMin: "u8", protocolMax: "u8", nonce: "u32" },
    reply: {
      protocol: "u8",
      protocolMin: "u8",
      protocolMax: "u8",
      nonce: "u32",
      /** Largest payload of a frame, bytes. */
      mtu: "u16",
      /** Requests and bytes that may be unanswered at a time. */
      window: "u8",
      bufferBytes: "u16",
      /** Another one after each reset. */
      bootId: "u32",
      firmware: "u32",
      resetReason: "u8",
      tiles: "u16",
      rows: "u16",
      columns: "u16",
      weightBits: "u8",
      inputBits: "u8",
      /** 0: exact sums. */
      adcBits: "u8",
      /** Which commands it does that not all devices do: see `features`. */
      features: "u8",
      /** Once the upper half of `features`, and zero; 0: not told. */
      accumulatorBits: "u8",
      /** Of the chip, for ever. */
      uid: "bytes",
    },
  },
  ping: { id: 0x02, about: "Keeps the link alive.", request: { token: "u32" }, reply: { token: "u32" } },
  status: {
    id: 0x03,
    about:
      "How the device is. temperatureMc: thousandths of a degree Celsius. ageSeconds is the oldest tile's time since programming; products counts vectors; revision changes whenever a tile was programmed, emptied or its converters were set.",
    request: {},
    reply: {
      uptimeMs: "u32",
      temperatureMc: "i32",
      ageSeconds: "u32",
      tilesCommitted: "u16",
      revision: "u32",
      products: "u32",
      frames: "u32",
      discarded: "u32",
      saturated: "u32",
    },
  },
  reset: { id: 0x04, about: "Answers, then restarts; tiles are lost.", request: {}, reply: {} },
  environment: {
    id: 0x08,
    about:
      "Emulators only. mask: 1 age of all tiles, 2 temperature, 4 another chip (seed), 8 a dead column, whose sums are 0 in all tiles (65535: none).",
    request: { mask: "u8", ageSeconds: "u32", temperatureMc: "i32", seed: "u32", deadColumn: "u16" },
    reply: { ageSeconds: "u32", temperatureMc: "i32", seed: "u32" },
  },
  manage: {
    id: 0x09,
    about:
      "A message of SMP, MCUmgr's management protocol, and its answer: 8 bytes of header and a map in CBOR. See management/.",
    request: { message: "bytes" },
    reply: { message: "bytes" },
  },
  writeTile: {
    id: 0x10,
    about: "Signed levels (i8, row by row) into the tile's buffer from `offset` on.",
    request: { tile: "u16", offset: "u32", levels: "bytes" },
    reply: {},
  },
  verifyTile: {
    id: 0x11,
    about: "CRC-32 of the first `length` bytes of the tile's buffer.",
    request: { tile: "u16", length: "u32" },
    reply: { crc: "u32" },
  },
  commitTile: {
    id: 0x12,
    about: "Programs rows x columns levels from the tile's buffer into the cells.",
    request: { tile: "u16", rows: "u16", columns: "u16" },
    reply: {},
  },
  setRange: {
    id: 0x13,
    about:
      "steps: what one ADC step stands for, in 65536ths of a unit cell, u32 for each column. reads: how the columns are read, u8 for each input bit of each plane: the low half says how often the step is halved, the high half of how many reads, as a power of two, the mean is taken; together not more than bit + plane.",
    request: { tile: "u16", steps: "bytes", reads: "bytes" },
    reply: {},
  },
  readRow: {
    id: 0x14,
    about:
      "One-hot read-back: the sums of all columns, in ADC codes, as i16, with code 1 on one row and 0 on the others.",
    request: { tile: "u16", row: "u16" },
    reply: { sums: "bytes" },
  },
  selfTest: {
    id: 0x15,
    about:
      "Programs a pattern, reads it by 16 rows at a time, and leaves the tile empty. weak: groups of 16 cells that read less than half or more than one and a half times what they hold, of so many. deadColumns: one bit for each column, u8 by u8 from the lowest bit on, 1 where all of its groups are weak.",
    request: { tile: "u16" },
    reply: { groups: "u16", weak: "u16", deadColumns: "bytes" },
  },
  multiply: {
    id: 0x20,
    about: "Whole u8 vectors of the tile's rows; the sums of its columns, in ADC codes, as i16 or i32 (width 2 or 4).",
    request: { tile: "u16", width: "u8", vectors: "bytes" },
    /** `saturated` conversions hit an end of the range. */
    reply: { saturated: "u16", sums: "bytes" },
  },
} as const;

export type CommandName = keyof typeof commands;
type ValueOf<T extends FieldType> = T extends "bytes" ? Uint8Array : number;
export type Payload<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> };
export type Request<C extends CommandName> = Payload<(typeof commands)[C]["request"]>;
export type Reply<C extends CommandName> = Payload<(typeof commands)[C]["reply"]>;

export const commandNames: readonly CommandName[] = Object.keys(commands) as CommandName[];

const names = new Map<number, CommandName>(commandNames.map((name) => [commands[name].id, name]));
export function commandOf(id: number): CommandName | undefined {
  return names.get(id);
}

/** Bits of HELLO's `features`. */
export const features = { environment: 1, readRow: 2, selfTest: 4, manage: 8 } as const;

/** Why a device does not do what a request asks. The payload of a refusal is one of these, u8. */
export const refusals = {
  "unknown-command": 1,
  malformed: 2,
  "no-such-tile": 3,
  "out-of-range": 4,
  "not-committed": 5,
  "too-wide": 6,
  unsupported: 7,
} as const;
export type Refusal = keyof typeof refusals;

export function refusalOf(code: number): Refusal | undefined {
  return (Object.keys(refusals) as Refusal[]).find((name) => refusals[name] === code);
}
