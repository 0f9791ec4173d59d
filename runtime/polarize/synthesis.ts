import { entry } from "../base/entry.ts";
import { Failure } from "../base/failure.ts";
import { gaussian } from "../base/random.ts";
import { openTeacher } from "../kernels/float.ts";
import { type Graph, isLayer, shapeOf } from "../model/graph.ts";
import type { FloatModel } from "../model/stages.ts";
import { center, columnMeans, identity, lowRank } from "../tensor/linear.ts";
import { shapeText, sizeOf, type Tensor } from "../tensor/tensor.ts";
import type { SampleStatistics } from "./statistics.ts";

/**
 * Calibration without samples, from statistics of them: Q-ASR (arXiv 2103.16827), with the inputs drawn and chosen
 * instead of trained, so that no gradients are needed.
 */

/** Principal components that are kept. Without any, images lose 5 pp of agreement; keywords do not care. */
const COMPONENTS = 32;
/** Candidates that are drawn for each sample that is kept. */
const CHOICE = 16;

/** @throws Failure input/shape, calibration/too-few-samples */
export async function statisticsOf(float: FloatModel, samples: Tensor): Promise<SampleStatistics> {
  const [count, ...shape] = samples.shape;
  const size = sizeOf(shape);
  checkSamples(float, samples);
  const means = columnMeans(samples.data, count, size);
  const centered = Float64Array.from(samples.data);
  center(centered, means);
  const {
    a: scores,
    b: directions,
    rank,
  } = lowRank(centered, identity(count), count, size, Math.min(COMPONENTS, count - 1));
  const deviations = rootMeanSquares(scores, rank);
  const left = centered.map((x, i) => {
    let carried = 0;
    const row = Math.floor(i / size) * rank;
    for (let k = 0; k < rank; k++) carried += scores[row + k] * directions[k * size + (i % size)];
    return x - carried;
  });
  return {
    shape,
    means: Float32Array.from(means),
    lowest: extremes(samples.data, size, Math.min),
    highest: extremes(samples.data, size, Math.max),
    rest: rootMeanSquares(left, size),
    components: directions.map((x, i) => x * deviations[Math.floor(i / size)]),
    moments: average(await momentsOf(float, samples.data, count), count),
  };
}

/** `count` inputs with these statistics, the same for the same seed. @throws Failure input/shape */
export async function synthesize(
  float: FloatModel,
  statistics: SampleStatistics,
  count: number,
  seed: number,
): Promise<Tensor> {
  const { shape } = statistics;
  checkStatistics(float, statistics);
  const size = sizeOf(shape);
  const many = count * CHOICE;
  const candidates = draw(statistics, many, seed);
  const chosen = herd(await momentsOf(float, candidates, many), statistics.moments, count);
  const data = new Float32Array(count * size);
  for (const [to, from] of chosen.entries()) data.set(candidates.subarray(from * size, (from + 1) * size), to * size);
  return { shape: [count, ...shape], data };
}

function checkSamples({ graph }: FloatModel, { shape: [count, ...shape], data }: Tensor): void {
  const size = sizeOf(graph.input.shape);
  if (data.length !== count * size) {
    throw new Failure(
      "input/shape",
      `samples of ${shapeText(shape)}; ${graph.name} takes ${shapeText(graph.input.shape)}`,
    );
  }
  if (count < 2)
    throw new Failure("calibration/too-few-samples", `${count} samples have no statistics; take at least 2`);
}

function checkStatistics({ graph }: FloatModel, { means, moments }: SampleStatistics): void {
  const size = sizeOf(graph.input.shape);
  const channels = graph.nodes.filter(isLayer).reduce((sum, { name }) => sum + channelsOf(graph, name), 0);
  if (means.length === size && moments.length === 2 * channels) return;
  throw new Failure(
    "input/shape",
    `statistics of ${means.length} inputs and ${moments.length / 2} channels; ${graph.name} has ${size} and ${channels}`,
  );
}

/** Gaussian along the components and in the rest, within the range of each element. */
function draw(
  { means, rest, components, lowest, highest }: SampleStatistics,
  count: number,
  seed: number,
): Float32Array {
  const next = gaussian(seed);
  const size = means.length;
  const rank = components.length / size;
  const out = new Float32Array(count * size);
  for (let i = 0; i < count; i++) {
    const scores = Float64Array.from({ length: rank }, next);
    for (let j = 0; j < size; j++) {
      let x = means[j] + rest[j] * next();
      for (let k = 0; k < rank; k++) x += scores[k] * components[k * size + j];
      out[i * size + j] = Math.max(lowest[j], Math.min(highest[j], x));
    }
  }
  return out;
}

/**
 * Picks, one after the other, the row that brings the mean of all picked rows closest to `target`, with each column
 * in units of its deviation (herding; Welling 2009).
 */
export function herd(rows: Float32Array, target: Float32Array, count: number): number[] {
  const size = target.length;
  const total = rows.length / size;
  const units = deviationsOf(rows, total, size);
  const sums = new Float64Array(size);
  const picked: number[] = [];
  for (let n = 1; n <= count; n++) {
    let best = { row: -1, distance: Number.POSITIVE_INFINITY };
    for (let row = 0; row < total; row++) {
      if (picked.includes(row)) continue;
      let distance = 0;
      for (let j = 0; j < size; j++) distance += (((sums[j] + rows[row * size + j]) / n - target[j]) / units[j]) ** 2;
      if (distance < best.distance) best = { row, distance };
    }
    picked.push(best.row);
    for (let j = 0; j < size; j++) sums[j] += rows[best.row * size + j];
  }
  return picked;
}

/** For each sample the mean and the mean square of every channel of every layer. */
async function momentsOf(float: FloatModel, inputs: Float32Array, count: number): Promise<Float32Array> {
  const { graph } = float;
  const layers = graph.nodes.filter(isLayer).map(({ name }) => name);
  const teacher = await openTeacher(float);
  try {
    const { taps } = await teacher.run(inputs, count, layers);
    const parts = layers.map((layer) => channelMoments(entry(taps, layer), count, channelsOf(graph, layer)));
    const size = parts.reduce((sum, part) => sum + part.length / count, 0);
    const out = new Float32Array(count * size);
    for (let i = 0; i < count; i++) {
      let at = i * size;
      for (const part of parts) {
        const own = part.length / count;
        out.set(part.subarray(i * own, (i + 1) * own), at);
        at += own;
      }
    }
    return out;
  } finally {
    teacher.close();
  }
}

/** Per sample first the means, then the mean squares. */
function channelMoments(values: Float32Array, count: number, channels: number): Float32Array {
  const out = new Float32Array(count * 2 * channels);
  const positions = values.length / count / channels;
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(i / positions / channels) * 2 * channels + (i % channels);
    out[at] += values[i] / positions;
    out[at + channels] += values[i] ** 2 / positions;
  }
  return out;
}

function channelsOf(graph: Graph, value: string): number {
  return shapeOf(graph, value).at(-1) ?? 1;
}

function average(rows: Float32Array, count: number): Float32Array {
  return Float32Array.from(columnMeans(rows, count, rows.length / count));
}

function rootMeanSquares(rows: ArrayLike<number>, columns: number): Float32Array {
  const sums = new Float64Array(columns);
  for (let i = 0; i < rows.length; i++) sums[i % columns] += rows[i] ** 2;
  return Float32Array.from(sums, (sum) => Math.sqrt((sum * columns) / rows.length));
}

/** Never zero. */
function deviationsOf(rows: Float32Array, count: number, columns: number): Float32Array {
  const centered = Float32Array.from(rows);
  center(centered, columnMeans(rows, count, columns));
  return rootMeanSquares(centered, columns).map((deviation) => deviation || 1);
}

function extremes(rows: Float32Array, columns: number, pick: (a: number, b: number) => number): Float32Array {
  const out = rows.slice(0, columns);
  for (let i = columns; i < rows.length; i++) out[i % columns] = pick(out[i % columns], rows[i]);
  return out;
}
