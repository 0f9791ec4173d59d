import { INPUT_BITS } from "../tiles/planes.ts";
import { type Read, type Readout, readPlan, STREAMS, UNIT } from "./readout.ts";

const BYTES_MEAN = 4 * 127.5;

/** Every conversion of a tile, one after the other: what assembly/readout.ts and the firmware compute. */
export function bindReference(tile: Readout): Read {
  const { rows, columns, planes, bits, skipsEmptyPlanes } = tile;
  const sums = new Int32Array(planes * columns);
  const convert = bits === 0 ? exact : digitize;
  return (vectors, totals) => {
    totals.fill(0);
    let saturated = 0;
    for (let vector = 0; vector * rows < vectors.length; vector++) {
      const codes = vectors.subarray(vector * rows, (vector + 1) * rows);
      const to = totals.subarray(vector * columns, (vector + 1) * columns);
      for (let bit = 0; bit < INPUT_BITS; bit++) {
        const active = addUp(tile, codes, bit, sums);
        if (active === 0 && skipsEmptyPlanes) continue;
        for (let plane = 0; plane < planes; plane++) saturated += convert(tile, sums, plane, bit, to);
      }
    }
    return saturated;
  };
}

/** Sums of the cells in the rows whose code has this bit. Returns how many rows these are. */
function addUp({ cells }: Readout, codes: Uint8Array, bit: number, sums: Int32Array): number {
  sums.fill(0);
  let active = 0;
  for (let row = 0; row < codes.length; row++) {
    if (((codes[row] >> bit) & 1) === 0) continue;
    active++;
    for (let lane = 0; lane < sums.length; lane++) sums[lane] += cells[row * sums.length + lane];
  }
  return active;
}

function exact({ columns }: Readout, sums: Int32Array, plane: number, bit: number, totals: Int32Array): 0 {
  for (let column = 0; column < columns; column++) {
    totals[column] += Math.round(sums[plane * columns + column] / UNIT) << (bit + plane);
  }
  return 0;
}

/** Adds code * 2^(bit + plane) to the totals, in steps that are not refined. Returns how many codes were clamped. */
function digitize(tile: Readout, sums: Int32Array, plane: number, bit: number, totals: Int32Array): number {
  const { columns, multipliers, addends, noise, noiseScale } = tile;
  const { finer, repeats } = readPlan(tile.reads, plane, bit);
  const max = 2 ** (tile.bits - 1) - 1;
  let saturated = 0;
  for (let again = 2 ** repeats; again > 0; again--) {
    for (let column = 0; column < columns; column++) {
      const lane = plane * columns + column;
      const signal = Math.floor((sums[lane] * multipliers[lane]) / 2 ** (tile.shift - finer)) + addends[lane];
      const jitter = Math.imul(draw(noise, column % STREAMS) - BYTES_MEAN, noiseScale) >> 12;
      const code = (signal + jitter) >> 8;
      const clamped = Math.min(Math.max(code, -max - 1), max);
      if (code !== clamped) saturated++;
      totals[column] += clamped << (bit + plane - finer - repeats);
    }
  }
  return saturated;
}

/** xorshift32 (Marsaglia 2003); four of its bytes make a number that is close enough to normal. */
function draw(noise: Uint32Array, stream: number): number {
  let state = noise[stream];
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  noise[stream] = state;
  return (state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + (state >>> 24);
}
