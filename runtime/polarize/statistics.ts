import { Failure } from "../base/failure.ts";
import { decodeNpy } from "../tensor/npy.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";

/**
 * What is kept of samples that must not leave where they were taken: enough to make inputs that stir a model's layers
 * as the samples did (synthesis.ts).
 */
export interface SampleStatistics {
  /** Of one sample. */
  readonly shape: readonly number[];
  /** Of each element of a sample: mean, least and greatest value, and the deviation that the components leave. */
  readonly means: Float32Array;
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
  readonly rest: Float32Array;
  /** Principal components, each as long as a sample, times the deviation along it. */
  readonly components: Float32Array;
  /** Mean and mean square of each channel of each layer's output in the float model, one layer after the other. */
  readonly moments: Float32Array;
}

/** What a model is calibrated with: samples, or what is known of them. */
export type Samples = Tensor | SampleStatistics;

export function isStatistics(samples: Samples): samples is SampleStatistics {
  return "moments" in samples;
}

/**
 * Statistics of samples as one file: "POLS", u32 version, u32 length of the header, the header as JSON, padded to a
 * multiple of four, then the arrays as f32, in the order of `arrays`. Little-endian.
 */
const MAGIC = 0x534c4f50;
const VERSION = 1;
const PREFIX = 12;

const arrays = ["means", "lowest", "highest", "rest", "components", "moments"] as const;

interface Header {
  readonly shape: readonly number[];
  readonly lengths: readonly number[];
}

export function encodeStatistics(statistics: SampleStatistics): Uint8Array {
  const header: Header = { shape: statistics.shape, lengths: arrays.map((name) => statistics[name].length) };
  const json = JSON.stringify(header);
  const text = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 4) * 4));
  const values = arrays.flatMap((name) => [...statistics[name]]);
  const file = new Uint8Array(PREFIX + text.length + 4 * values.length);
  new Uint32Array(file.buffer, 0, 3).set([MAGIC, VERSION, text.length]);
  file.set(text, PREFIX);
  new Float32Array(file.buffer, PREFIX + text.length).set(values);
  return file;
}

/** A .npy array, or a file of statistics. @throws Failure input/malformed */
export function decodeSamples(file: Uint8Array, where: string): Samples {
  const own = Uint8Array.from(file);
  const known = own.length >= PREFIX && new DataView(own.buffer).getUint32(0, true) === MAGIC;
  return known ? decodeStatistics(own, where) : decodeNpy(file, where);
}

function decodeStatistics(file: Uint8Array, where: string): SampleStatistics {
  const view = new DataView(file.buffer);
  const start = PREFIX + view.getUint32(8, true);
  const malformed = (why: string): Failure => new Failure("input/malformed", `${where}: ${why}`, { where });
  if (view.getUint32(4, true) !== VERSION) throw malformed(`statistics of version ${view.getUint32(4, true)}`);
  if (start > file.length || start % 4 !== 0) throw malformed("its header is longer than the file");
  const { shape, lengths } = parsed(file.subarray(PREFIX, start), malformed);
  const [size, ...others] = lengths;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (lengths.length !== arrays.length || sizeOf(shape) !== size || others.slice(0, 3).some((n) => n !== size)) {
    throw malformed(`arrays of ${lengths} for samples of [${shape}]`);
  }
  if (file.length !== start + 4 * total) throw malformed(`${file.length} bytes; expected ${start + 4 * total}`);
  let at = start;
  const next = (length: number): Float32Array => {
    const values = new Float32Array(file.buffer, at, length);
    at += 4 * length;
    if (values.every(Number.isFinite)) return values;
    throw malformed("a value is no finite number");
  };
  const [means, lowest, highest, rest, components, moments] = lengths.map(next);
  return { shape, means, lowest, highest, rest, components, moments };
}

function parsed(text: Uint8Array, malformed: (why: string) => Failure): Header {
  try {
    const { shape, lengths } = JSON.parse(new TextDecoder().decode(text));
    if ([...shape, ...lengths].every((n) => Number.isSafeInteger(n) && n >= 0)) return { shape, lengths };
  } catch {
    // Said below, as for any other header.
  }
  throw malformed("its header is no list of lengths");
}
