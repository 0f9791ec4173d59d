import { entry } from "../base/entry.ts";
import { isLayer, type Layer } from "../model/graph.ts";
import type { LayerFit } from "../model/layer-fit.ts";
import type { PolarizedLayer, PolarizedModel } from "../model/stages.ts";
import type { FloatTeacher } from "../model/teacher.ts";
import { openPlan } from "../plan/open.ts";
import { type MatmulUnit, multiplyingBy } from "../plan/unit.ts";
import { storedBytes } from "../quantize/format.ts";
import { formats } from "../quantize/formats.ts";
import { product } from "../tensor/products.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Each of these passes the accelerator once. */
const INPUTS = 8;

/**
 * Runs the prepared model on a few inputs, and compares it with the float model layer by layer.
 * @param inputs count x input
 */
export async function layerFits(
  model: PolarizedModel,
  unit: MatmulUnit | undefined,
  teacher: FloatTeacher,
  inputs: Tensor,
): Promise<readonly LayerFit[]> {
  const layers = model.graph.nodes.filter(isLayer);
  const count = Math.min(INPUTS, inputs.shape[0] ?? 0);
  const length = inputs.data.length / (inputs.shape[0] ?? 1);
  const { taps: truth } = await teacher.run(inputs.data.subarray(0, count * length), count, layers.map(nameOf));
  const onUnit = new Map<string, Tally>();
  const runner = await openPlan(model, { unit: unit && watched(unit, onUnit) });
  const tallies = new Map(layers.map(({ name }) => [name, new Tally(1)]));
  for (let i = 0; i < count; i++) {
    await runner.run(inputs.data.subarray(i * length, (i + 1) * length), undefined, (name, found) => {
      tallies.get(name)?.add(entry(truth, name).subarray(i * found.length, (i + 1) * found.length), found);
    });
  }
  return layers.map((layer) =>
    fitOf(layer, entry(model.layers, layer.name), entry(tallies, layer.name), onUnit.get(layer.name)),
  );
}

function nameOf({ name }: Layer): string {
  return name;
}

function fitOf(
  { name, op }: Layer,
  { format, matrix, digital, accelerator }: PolarizedLayer,
  tally: Tally,
  onUnit: Tally | undefined,
): LayerFit {
  const columns = onUnit?.errors();
  return {
    name,
    op,
    format,
    bits: rounded((8 * storedBytes(formats[format], matrix)) / matrix.codes.length),
    rank: (columns ? accelerator : digital)?.surrogate?.rank ?? 0,
    unit: columns ? "accelerator" : "digital",
    error: tally.errors()[0] ?? 0,
    ...(columns && { columns }),
  };
}

/** Answers as `unit`, and notes by layer how far that is from what was meant. */
function watched(unit: MatmulUnit, tallies: Map<string, Tally>): MatmulUnit {
  return multiplyingBy(unit, async (layer, inputs, count) => {
    const products = await unit.multiply(layer, inputs, count);
    const columns = products.length / count;
    const tally = tallies.get(layer) ?? new Tally(columns);
    tallies.set(layer, tally);
    const weights = await unit.nominal(layer);
    tally.add(product(inputs, weights, count, weights.length / columns, columns), products);
    return products;
  });
}

/** Squares of differences by column, and of what was expected in all. */
class Tally {
  readonly #differences: Float64Array;
  #energy = 0;

  constructor(columns: number) {
    this.#differences = new Float64Array(columns);
  }

  add(expected: Float32Array | Float64Array, found: Float32Array): void {
    for (const [i, value] of expected.entries()) {
      this.#differences[i % this.#differences.length] += (found[i] - value) ** 2;
      this.#energy += value ** 2;
    }
  }

  errors(): number[] {
    const each = this.#energy / this.#differences.length;
    return [...this.#differences].map((difference) => (each > 0 ? rounded(Math.sqrt(difference / each)) : 0));
  }
}

/** Three digits are plenty on a retained topic. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
