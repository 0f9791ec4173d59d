import { suite } from "uvu";
import * as assert from "uvu/assert";
import { accepted } from "../../runtime/polarize/acceptance.ts";
import { errorLeft, type Observations } from "../../runtime/polarize/observations.ts";
import { correctKnown } from "../../runtime/polarize/surrogate.ts";
import { product } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("acceptance");

const [ROWS, COLUMNS] = [24, 12];
const weights = normals(ROWS * COLUMNS, 1);
const quantized = weights.map((w) => Math.round(w));
const bias = new Float32Array(COLUMNS);
const none = { gain: new Float32Array(COLUMNS).fill(1), bias, surrogate: undefined };

/** Inputs, and targets that a float layer gives them. @param noise on the targets, that no correction can know */
function observed(count: number, noise: number): Observations {
  const inputs = normals(count * ROWS, 2);
  const wrong = normals(count * COLUMNS, 3);
  const targets = Float32Array.from(product(inputs, weights, count, ROWS, COLUMNS), (y, i) => y + noise * wrong[i]);
  return { rows: ROWS, columns: COLUMNS, count, inputs, targets };
}

const errorOf = (seen: Observations, correction: Parameters<typeof errorLeft>[2]): number =>
  errorLeft(seen, product(seen.inputs, quantized, seen.count, ROWS, COLUMNS), correction);
const surrogate = (seen: Observations): typeof none => correctKnown(seen, weights, quantized, bias, 6) as typeof none;

test("a correction that holds on samples it has not seen is fitted to all of them", () => {
  const seen = observed(200, 0);
  assert.equal(accepted(seen, [surrogate, () => none], errorOf), surrogate(seen));
});

test("a correction that learnt its samples by heart gives way, although it is better on those", () => {
  const seen = observed(40, 10);
  const offsets = (some: Observations): typeof none => {
    const last = some.targets.subarray((some.count - 1) * COLUMNS, some.count * COLUMNS);
    return { ...none, bias: Float32Array.from(last) };
  };
  assert.is(accepted(seen, [offsets, () => none], errorOf), none);
});

test("a correction that breaks a layer is not installed", () => {
  const broken = { ...none, gain: new Float32Array(COLUMNS) };
  const mad = { ...none, gain: new Float32Array(COLUMNS).fill(Number.NaN) };
  for (const bad of [broken, mad]) assert.is(accepted(observed(40, 0), [() => bad, () => none], errorOf), none);
});

test("with too few observations to hold any back the simplest correction is taken", () => {
  assert.is(accepted(observed(3, 0), [surrogate, () => none], errorOf), none);
});

test.run();
