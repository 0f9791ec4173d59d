import { PbfReader } from "pbf";
import { entry } from "../../runtime/base/entry.ts";
import { gaussian } from "../../runtime/base/random.ts";

/**
 * Tensors that meet at one relu: relu(s x) = s relu(x) for s > 0, so what the normalization gains per channel, the
 * layer after it can lose again.
 */
const joints: readonly { readonly normal: string; readonly next: string }[] = [
  { normal: "stem", next: "block1.depthwise.weight" },
  { normal: "block1.depthwise", next: "block1.pointwise.weight" },
  { normal: "block1.pointwise", next: "block2.depthwise.weight" },
  { normal: "block2.depthwise", next: "block2.pointwise.weight" },
  { normal: "block3.depthwise", next: "block3.pointwise.weight" },
  { normal: "head", next: "classes.weight" },
];

/** Standard deviation of the channels' scales, in octaves. */
const SPREAD_OCTAVES = 4;

/**
 * A bad release of a bearing model: the float answers stay the same (to rounding), but the channels' ranges are torn
 * apart, so that the weights of a block and the values of a layer no longer share a scale and nothing is left after
 * quantization. It is weight equalization (M. Nagel et al., arXiv 1906.04721) backwards, and happens to real models.
 * Passes every check in the cloud; only a device's self-test finds it.
 */
export function spoil(onnx: Uint8Array, seed: number): Uint8Array {
  const bytes = Uint8Array.from(onnx);
  const tensors = tensorsOf(bytes);
  const normal = gaussian(seed);
  for (const joint of joints) {
    const gamma = entry(tensors, `${joint.normal}.gamma`);
    const factors = Array.from({ length: gamma.raw.length / 4 }, () => 2 ** Math.round(SPREAD_OCTAVES * normal()));
    multiply(gamma, (channel) => factors[channel]);
    multiply(entry(tensors, `${joint.normal}.beta`), (channel) => factors[channel]);
    const next = entry(tensors, joint.next);
    multiply(next, (at) => 1 / factors[inputChannel(next, at)]);
  }
  return bytes;
}

/**
 * Another bad release of a bearing model: its classes are in the opposite order. It survives any precision, so a
 * self-test against its own float answers finds nothing; only who compares it with what served before does.
 */
export function miswire(onnx: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(onnx);
  const tensors = tensorsOf(bytes);
  for (const name of ["classes.weight", "classes.bias"]) reverseRows(entry(tensors, name));
  return bytes;
}

/** A tensor of the file; `raw` is a view of the file's own bytes. */
interface FloatTensor {
  readonly dims: number[];
  name: string;
  raw: Uint8Array;
}

function tensorsOf(onnx: Uint8Array): Map<string, FloatTensor> {
  return new PbfReader(onnx).readFields(readModel, new Map<string, FloatTensor>());
}

/** ModelProto.graph is field 7, GraphProto.initializer field 5; of TensorProto dims are 1, name 8, raw_data 9. */
function readModel(field: number, tensors: Map<string, FloatTensor>, pbf: PbfReader): void {
  if (field === 7) pbf.readMessage(readGraph, tensors);
}

function readGraph(field: number, tensors: Map<string, FloatTensor>, pbf: PbfReader): void {
  if (field !== 5) return;
  const tensor = pbf.readMessage<FloatTensor>(readTensor, { dims: [], name: "", raw: new Uint8Array() });
  tensors.set(tensor.name, tensor);
}

function readTensor(field: number, tensor: FloatTensor, pbf: PbfReader): void {
  if (field === 1) tensor.dims.push(pbf.readVarint());
  if (field === 8) tensor.name = pbf.readString();
  if (field === 9) tensor.raw = pbf.readBytes();
}

/** Of a value of [outputs, inputs, kernel, kernel], or [channels, 1, kernel, kernel] where each channel is its own. */
function inputChannel({ dims: [, inputs, ...kernel] }: FloatTensor, at: number): number {
  const filter = Math.floor(at / kernel.reduce((taps, length) => taps * length, 1));
  return inputs > 1 ? filter % inputs : filter;
}

function multiply({ raw }: FloatTensor, factor: (at: number) => number): void {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let at = 0; at < raw.length / 4; at++) {
    view.setFloat32(4 * at, view.getFloat32(4 * at, true) * factor(at), true);
  }
}

/** The first axis, in place. */
function reverseRows({ dims: [rows], raw }: FloatTensor): void {
  const copy = Uint8Array.from(raw);
  const length = raw.length / rows;
  for (let row = 0; row < rows; row++)
    raw.set(copy.subarray(row * length, (row + 1) * length), (rows - 1 - row) * length);
}
