import { entry } from "../base/entry.ts";
import { Failure, messageOf } from "../base/failure.ts";
import { xxh32 } from "../base/xxh32.ts";
import type { Graph } from "../model/graph.ts";
import {
  type Affine,
  type Correction,
  type DriftLevel,
  type FormatName,
  formatNames,
  type LowRank,
  type PolarizedLayer,
  type PolarizedModel,
} from "../model/stages.ts";
import { formats } from "./formats.ts";
import { LEVELS } from "./grouped.ts";
import { packCodes, unpackCodes } from "./packing.ts";
import { compacted, expanded, prunedColumns } from "./pruning.ts";

/**
 * A prepared model as one file: "POLR", u32 version, u32 header length, the header as JSON, then the arrays that the
 * header points to, each at a multiple of four, then the XXH32 of all before it, which tells damage. What came from
 * elsewhere is known by its SHA-256 before it is decoded (store/blobs.ts, trust). Little-endian.
 */
const MAGIC = 0x524c4f50;
const VERSION = 5;
const PREFIX = 12;
const CHECK = 4;

interface Section {
  readonly at: number;
  readonly bytes: number;
}

interface StoredCorrection {
  readonly gain: Section;
  readonly bias: Section;
  readonly surrogate?: { readonly rank: number; readonly a: Section; readonly b: Section };
}

interface StoredLayer {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  readonly blockLength: number;
  /** Bits of the pruned columns, the first in the lowest bit; the rest is of the other columns alone. */
  readonly pruned?: Section;
  readonly codes: Section;
  readonly scales: Section;
  readonly lowest?: Section;
  readonly digital: StoredCorrection;
  readonly error?: number;
  readonly accelerator?: StoredCorrection;
}

interface StoredRange {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly channels?: Section;
}

interface Header {
  readonly graph: Graph;
  readonly ranges: readonly (readonly [string, StoredRange])[];
  readonly layers: readonly (readonly [string, StoredLayer])[];
  readonly accelerator?: { readonly uid: string; readonly levels?: readonly StoredLevel[] };
}

interface StoredLevel {
  readonly strengths: readonly number[];
  readonly corrections: readonly (readonly [string, StoredCorrection])[];
}

export function encodeModel(model: PolarizedModel): Uint8Array {
  const sections = new Sections();
  const header: Header = {
    graph: model.graph,
    ranges: [...model.ranges].map(([name, range]) => [name, storeRange(range, sections)]),
    layers: [...model.layers].map(([name, layer]) => [name, storeLayer(layer, sections)]),
    ...(model.accelerator && { accelerator: storeAccelerator(model.accelerator, sections) }),
  };
  const text = new TextEncoder().encode(JSON.stringify(header, infinityToText));
  const start = aligned(PREFIX + text.length);
  const file = new Uint8Array(start + sections.bytes + CHECK);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, text.length, true);
  file.set(text, PREFIX);
  sections.copyTo(file, start);
  const end = file.length - CHECK;
  view.setUint32(end, xxh32(file.subarray(0, end)), true);
  return file;
}

/** By its first bytes. */
export function isPrepared(file: Uint8Array): boolean {
  return file.length >= PREFIX + CHECK && new DataView(file.buffer, file.byteOffset).getUint32(0, true) === MAGIC;
}

/** @throws Failure model/malformed, model/version */
export function decodeModel(file: Uint8Array): PolarizedModel {
  const { header, payload } = open(file);
  try {
    return {
      stage: "polarized",
      graph: header.graph,
      ranges: new Map(header.ranges.map(([name, range]) => [name, restoreRange(range, payload)])),
      layers: new Map(header.layers.map(([name, layer]) => [name, restoreLayer(layer, payload)])),
      accelerator: restoreAccelerator(header, payload),
    };
  } catch (error) {
    throw malformed(messageOf(error), error);
  }
}

function open(file: Uint8Array): { header: Header; payload: Uint8Array } {
  if (file.length < PREFIX + CHECK) throw malformed(`${file.length} bytes are too few`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (!isPrepared(file)) throw malformed("it does not begin with POLR");
  const version = view.getUint32(4, true);
  if (version !== VERSION) {
    throw new Failure(
      "model/version",
      `prepared model of version ${version}; this release reads ${VERSION}: prepare it again`,
    );
  }
  const end = file.length - CHECK;
  if (xxh32(file.subarray(0, end)) !== view.getUint32(end, true)) {
    throw malformed("its checksum does not match: the file is damaged");
  }
  const length = view.getUint32(8, true);
  if (PREFIX + length > end) throw malformed("its header is longer than the file");
  try {
    const text = new TextDecoder().decode(file.subarray(PREFIX, PREFIX + length));
    return { header: JSON.parse(text, textToInfinity), payload: file.subarray(aligned(PREFIX + length), end) };
  } catch (error) {
    throw malformed("its header is no JSON", error);
  }
}

function malformed(why: string, cause?: unknown): Failure {
  return new Failure("model/malformed", `not a prepared model (.polar): ${why}`, {}, cause);
}

function storeRange({ channels, ...range }: Affine, to: Sections): StoredRange {
  return channels ? { ...range, channels: to.add(channels) } : range;
}

function restoreRange({ channels, ...range }: StoredRange, payload: Uint8Array): Affine {
  if (!channels) return range;
  return { ...range, channels: floatsOf(payload, channels, channels.bytes / Float32Array.BYTES_PER_ELEMENT) };
}

function storeLayer({ format, matrix, digital, error, accelerator }: PolarizedLayer, to: Sections): StoredLayer {
  const { rows, columns, blockLength } = matrix;
  const pruned = prunedColumns(matrix);
  const live = compacted(matrix);
  const { lowest } = live;
  return {
    format,
    rows,
    columns,
    blockLength,
    ...(pruned.length > 0 && { pruned: to.add(bitsOf(pruned, columns)) }),
    codes: to.add(packCodes(formats[format], live)),
    scales: to.add(live.scales),
    ...(lowest && { lowest: to.add(new Uint8Array(lowest.buffer, lowest.byteOffset, lowest.length)) }),
    digital: storeCorrection(digital, to),
    ...(error !== undefined && { error }),
    ...(accelerator && { accelerator: storeCorrection(accelerator, to) }),
  };
}

function storeAccelerator(
  { uid, levels }: NonNullable<PolarizedModel["accelerator"]>,
  to: Sections,
): NonNullable<Header["accelerator"]> {
  const stored = levels?.map(
    ({ strengths, corrections }): StoredLevel => ({
      strengths,
      corrections: [...corrections].map(([name, correction]) => [name, storeCorrection(correction, to)]),
    }),
  );
  return { uid, ...(stored && { levels: stored }) };
}

function restoreAccelerator({ accelerator, layers }: Header, payload: Uint8Array): PolarizedModel["accelerator"] {
  if (!accelerator) return undefined;
  const shapes = new Map(layers);
  const levels = accelerator.levels?.map(
    ({ strengths, corrections }): DriftLevel => ({
      strengths,
      corrections: new Map(
        corrections.map(([name, stored]) => {
          const { rows, columns } = entry(shapes, name);
          return [name, restoreCorrection(stored, rows, columns, payload)];
        }),
      ),
    }),
  );
  return { uid: accelerator.uid, ...(levels && { levels }) };
}

function storeCorrection({ gain, bias, surrogate }: Correction, to: Sections): StoredCorrection {
  return {
    gain: to.add(gain),
    bias: to.add(bias),
    ...(surrogate && { surrogate: { rank: surrogate.rank, a: to.add(surrogate.a), b: to.add(surrogate.b) } }),
  };
}

function restoreLayer(stored: StoredLayer, payload: Uint8Array): PolarizedLayer {
  const { format, rows, columns, blockLength } = stored;
  if (!formatNames.includes(format)) throw malformed(`unknown weight format ${format}`);
  const pruned = stored.pruned ? placesOf(bytesOf(payload, stored.pruned, Math.ceil(columns / 8)), columns) : [];
  const live = columns - pruned.length;
  const packed = bytesOf(payload, stored.codes, Math.ceil((rows * live * formats[format].bits) / 8));
  const blocks = Math.ceil(rows / blockLength) * live;
  const scales = floatsOf(payload, stored.scales, blocks);
  const lowest = stored.lowest && lowestOf(bytesOf(payload, stored.lowest, blocks));
  if ((lowest === undefined) !== (formats[format].grouped === undefined)) throw malformed(`the levels of ${format}`);
  const shape = { rows, columns: live, blockLength, scales, ...(lowest && { lowest }) };
  const matrix = { ...shape, codes: unpackCodes(formats[format], packed, shape) };
  return {
    format,
    matrix: expanded(matrix, columns, pruned),
    digital: restoreCorrection(stored.digital, rows, columns, payload),
    error: stored.error,
    accelerator: stored.accelerator && restoreCorrection(stored.accelerator, rows, columns, payload),
  };
}

function bitsOf(places: readonly number[], count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (const place of places) bits[place >> 3] |= 1 << (place & 7);
  return bits;
}

function placesOf(bits: Uint8Array, count: number): number[] {
  return Array.from({ length: count }, (_, place) => place).filter(
    (place) => ((bits[place >> 3] >> (place & 7)) & 1) === 1,
  );
}

/** -z of each group, with z in 0 .. 15. */
function lowestOf(bytes: Uint8Array): Int8Array {
  const lowest = Int8Array.from(bytes);
  if (lowest.every((level) => level <= 0 && level > -LEVELS)) return lowest;
  throw malformed("a group without a zero among its levels");
}

function restoreCorrection(stored: StoredCorrection, rows: number, columns: number, payload: Uint8Array): Correction {
  return {
    gain: floatsOf(payload, stored.gain, columns),
    bias: floatsOf(payload, stored.bias, columns),
    surrogate: stored.surrogate && restoreSurrogate(stored.surrogate, rows, columns, payload),
  };
}

function restoreSurrogate(
  { rank, a, b }: NonNullable<StoredCorrection["surrogate"]>,
  rows: number,
  columns: number,
  payload: Uint8Array,
): LowRank {
  return { rank, a: floatsOf(payload, a, rows * rank), b: floatsOf(payload, b, rank * columns) };
}

function floatsOf(payload: Uint8Array, section: Section, length: number): Float32Array {
  // Not slice(): a Buffer's is no copy.
  return new Float32Array(new Uint8Array(bytesOf(payload, section, length * 4)).buffer);
}

function bytesOf(payload: Uint8Array, { at, bytes }: Section, expected: number): Uint8Array {
  if (bytes !== expected || at < 0 || at + bytes > payload.length) {
    throw malformed(`an array of ${bytes} bytes at ${at}; expected ${expected} within ${payload.length}`);
  }
  return payload.subarray(at, at + bytes);
}

/** Arrays one after the other, each at a multiple of four. */
class Sections {
  bytes = 0;
  readonly #parts: { readonly at: number; readonly data: Uint8Array }[] = [];

  add(array: Float32Array | Uint8Array): Section {
    const data = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const at = this.bytes;
    this.#parts.push({ at, data });
    this.bytes = aligned(at + data.length);
    return { at, bytes: data.length };
  }

  copyTo(file: Uint8Array, start: number): void {
    for (const { at, data } of this.#parts) file.set(data, start + at);
  }
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** JSON has no infinity, but an open clamp does. */
function infinityToText(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? "inf" : value === Number.NEGATIVE_INFINITY ? "-inf" : value;
}

function textToInfinity(key: string, value: unknown): unknown {
  if (key !== "min" && key !== "max") return value;
  return value === "inf" ? Number.POSITIVE_INFINITY : value === "-inf" ? Number.NEGATIVE_INFINITY : value;
}
