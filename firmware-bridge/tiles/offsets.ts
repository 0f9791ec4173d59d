import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { solve } from "../../runtime/tensor/linear.ts";
import { crossProduct } from "../../runtime/tensor/products.ts";
import { INPUT_BITS, planeCount, usedBits } from "./planes.ts";
import type { Resident } from "./resident.ts";

/**
 * A converter's offset counts as often as it converts. Where empty input planes are skipped, that depends on the
 * vector, so no bias of a layer makes it good; what each used input bit adds to a column has to be known. Estimates it
 * from a tile's own answers to its typical vectors: the posterior mean of a linear model with the prior variances that the
 * profile tells, in which the cells deviate from their levels and each input bit brings an offset.
 * @param sums the answers, converter codes; `strength`: how much of their signal is left
 * @returns input bits x columns, in converter codes
 */
export function offsetsOf(
  profile: AcceleratorProfile,
  { block: { rows, columns }, worth, emptyRow, range, typical: vectors }: Resident,
  sums: Int32Array,
  strength: number,
): Float32Array {
  const { skipsEmptyPlanes, offsetLsb, bits } = profile.converter;
  const offsets = new Float32Array(INPUT_BITS * columns);
  if (!skipsEmptyPlanes || offsetLsb === 0 || bits === 0) return offsets;
  const count = vectors.length / rows;
  const features = rows + INPUT_BITS;
  const used = usedBits(vectors, rows);
  const seen = Float64Array.from({ length: count * features }, (_, i) => {
    const [vector, at] = [Math.floor(i / features), i % features];
    return at < rows ? vectors[vector * rows + at] : (used[vector] >> (at - rows)) & 1;
  });
  const deviations = Float64Array.from(sums, (sum, i) => {
    const [vector, column] = [Math.floor(i / columns), i % columns];
    let meant = 0;
    for (let row = 0; row < rows; row++) meant += vectors[vector * rows + row] * worth[row * columns + column];
    return sum * range.steps[column] - strength * meant;
  });
  const normal = crossProduct(seen, seen, count, features, features);
  const step = Math.sqrt(range.steps.reduce((sum, s) => sum + s * s, 0) / columns);
  const { noise, offset } = variances(profile, range.reads);
  const spread = worth.reduce((sum, value) => sum + value * value, 0) / worth.length;
  const deviation = emptyRow ? READ_CELLS : CELLS;
  for (let at = 0; at < features; at++) {
    const prior = at < rows ? (deviation * strength) ** 2 * spread : offset[at - rows] * step * step;
    normal[at * features + at] += (noise * step * step) / Math.max(prior, Number.MIN_VALUE);
  }
  const found = solve(normal, crossProduct(seen, deviations, count, features, columns), features, columns);
  for (let i = 0; i < offsets.length; i++) offsets[i] = found[rows * columns + i] / range.steps[i % columns];
  return offsets;
}

/** How much cells deviate, relative, as a prior: mismatch of gains and of drift is in it. */
const CELLS = 0.15;
/** The same where they were read. */
const READ_CELLS = 0.03;

/** Variances of a sum in converter codes: of its rounding and noise, and of what each input bit's offset adds. */
function variances(
  { array, converter }: AcceleratorProfile,
  reads: Uint8Array,
): { readonly noise: number; readonly offset: Float64Array } {
  const offset = new Float64Array(INPUT_BITS);
  let noise = 0;
  for (let at = 0; at < planeCount(array) * INPUT_BITS; at++) {
    const bit = at % INPUT_BITS;
    const weight = 4 ** (Math.floor(at / INPUT_BITS) + bit - (reads[at] & 15));
    offset[bit] += weight * converter.offsetLsb ** 2;
    noise += weight * (1 / 12 + converter.noiseLsb ** 2);
  }
  return { noise, offset };
}
