import { decode, encode } from "cborg";
import { Failure } from "../../runtime/base/failure.ts";

/**
 * SMP, MCUmgr's Simple Management Protocol: 8 bytes of header, big-endian, and a map in CBOR.
 * https://docs.zephyrproject.org/latest/services/device_mgmt/smp_protocol.html, version 1 (`rc` says what is wrong).
 */
export const smpCommands = {
  echo: { group: 0, id: 0 },
  reset: { group: 0, id: 5 },
  state: { group: 1, id: 0 },
  upload: { group: 1, id: 1 },
} as const;
export type SmpCommand = keyof typeof smpCommands;

/** A reply has the next number. */
export const smpOps = { read: 0, write: 2 } as const;

/** Zephyr, subsys/mgmt/mcumgr, mgmt_defines.h: those that devices of ours say. */
export const smpErrors = {
  "not-written": 1,
  invalid: 3,
  "not-found": 5,
  "bad-state": 6,
  "too-large": 7,
  unsupported: 8,
  corrupt: 9,
  "another-board": 11,
} as const;
export type SmpError = keyof typeof smpErrors;

export const SMP_HEADER_BYTES = 8;

export interface SmpMessage {
  readonly op: number;
  /** Undefined: another group or id than those above. */
  readonly command: SmpCommand | undefined;
  /** Its first eight bytes. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export function encodeSmp(op: number, command: SmpCommand, values: Readonly<Record<string, unknown>>): Uint8Array {
  const { group, id } = smpCommands[command];
  const body = encode(values);
  return Uint8Array.of(op, 0, body.length >> 8, body.length & 0xff, group >> 8, group & 0xff, 0, id, ...body);
}

/** Undefined unless the header is whole and its length right. */
export function decodeSmp(bytes: Uint8Array): SmpMessage | undefined {
  if (bytes.length < SMP_HEADER_BYTES) return undefined;
  const [header, body] = [bytes.subarray(0, SMP_HEADER_BYTES), bytes.subarray(SMP_HEADER_BYTES)];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint16(2) !== body.length) return undefined;
  const [group, id] = [view.getUint16(4), view.getUint8(7)];
  const names = Object.keys(smpCommands) as SmpCommand[];
  const command = names.find((name) => smpCommands[name].group === group && smpCommands[name].id === id);
  return { op: view.getUint8(0) & 7, command, header, body };
}

/** What a message's map says. @throws Failure `input/malformed` */
export function decodeMap(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const map: unknown = decode(body, { useMaps: true, rejectDuplicateMapKeys: true });
    return plain(map);
  } catch (cause) {
    throw new Failure("input/malformed", "no map in CBOR", {}, cause);
  }
}

/** Maps as objects; their keys are not anybody's prototype. */
function plain(map: unknown): Record<string, unknown> {
  if (!(map instanceof Map)) throw new TypeError("no map");
  return Object.fromEntries([...map].map(([key, value]) => [String(key), valueIn(value)]));
}

function valueIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(valueIn);
  return value instanceof Map ? plain(value) : value;
}
