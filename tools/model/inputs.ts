import { readFile } from "node:fs/promises";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { decodeLabels, decodeNpy } from "../../runtime/tensor/npy.ts";
import { type Shape, sameShape, shapeText, sizeOf, type Tensor } from "../../runtime/tensor/tensor.ts";

/** @throws Failure input/missing: what could not be read and why */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Failure("input/missing", `cannot read ${path}: ${messageOf(error)}`, { path }, error);
  }
}

/** Samples for a model: [count, ...] in NHWC. An array in NCHW order whose shape says so is transposed. */
export async function readSamples(path: string, input: Shape): Promise<Tensor> {
  const tensor = decodeNpy(await readBytes(path), path);
  const [count = 0, ...sample] = tensor.shape;
  const expected = input.slice(1);
  if (count > 0 && sameShape(sample, expected)) return tensor;
  if (count > 0 && expected.length === 3 && sameShape(sample, [expected[2], expected[0], expected[1]])) {
    return channelsLast(tensor);
  }
  if (count > 0 && sizeOf(sample) === sizeOf(expected)) return { shape: [count, ...expected], data: tensor.data };
  throw new Failure(
    "input/shape",
    `${path} has the shape ${shapeText(tensor.shape)}; the model takes ${shapeText(expected)} per sample (NHWC), ` +
      `so ${shapeText([count || "count", ...expected] as number[])} was expected`,
  );
}

/** @throws Failure input/shape if there is not one label per sample */
export async function readLabels(path: string, count: number): Promise<Int32Array> {
  const labels = decodeLabels(await readBytes(path), path);
  if (labels.length === count) return labels;
  throw new Failure("input/shape", `${path} has ${labels.length} labels for ${count} samples; expected one each`);
}

function channelsLast({ shape, data }: Tensor): Tensor {
  const [count, channels, height, width] = shape;
  const out = new Float32Array(data.length);
  const area = height * width;
  for (let i = 0; i < data.length; i++) {
    const pixel = i % area;
    const channel = Math.floor(i / area) % channels;
    const sample = Math.floor(i / (area * channels));
    out[(sample * area + pixel) * channels + channel] = data[i];
  }
  return { shape: [count, height, width, channels], data: out };
}
