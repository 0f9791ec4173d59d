import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { Failure } from "../../runtime/base/failure.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { type Block, typicalOf } from "./mapping.ts";
import { cellTarget, INPUT_BITS, maxLevel, planeCount } from "./planes.ts";
import { chooseRange, type Range } from "./ranges.ts";

/**
 * Proves from a block's levels alone that no sum overflows the register that a column's codes are added up in: A2Q (arXiv
 * 2301.13376), inputs of N bits cannot overflow P bits if ||w||_1 <= (2^(P-1) - 1) 2^(signed - N). Inputs are unsigned
 * here, so what a column reaches is its positive levels or its negative ones, whichever are more, times the largest code;
 * and what is added up are the converters' codes, none of which is beyond their range.
 */

/** Cells, gains and offsets are sums of twelve uniform numbers, which end there (emulator/fixed.ts). */
const SIGMAS = 6;
/** Of a conversion's noise, the sum of four bytes, on the hottest chip. */
const NOISE_SIGMAS = 5;
/** From the reference temperature to the coldest or the hottest that a chip lives through. */
const KELVINS = 205;
/** What a cell conducts is a signed byte of 1/64 unit cells. */
const LARGEST_CELL = 127 / 64;
/** Steps and multipliers are whole numbers in the device. */
const ROUNDING = 1.05;
/** Steps are made coarser by this until their column's sums fit, at most so often. */
const COARSER = 1.1;
const MOST_TURNS = 60;

/** Signed bits that the sums of the block's columns take at most. */
export function bitsNeeded(profile: AcceleratorProfile, block: Block, { steps, reads }: Range): number {
  const reaches = Array.from(steps, (step, column) => columnReach(profile, block, column, reads)(step));
  return 2 + Math.floor(Math.log2(Math.max(1, ...reaches)));
}

/**
 * The range itself if no sum can overflow, or one with steps as coarse as that takes.
 * @throws Failure `plan/does-not-fit` where no step is coarse enough
 */
export function heldRange(profile: AcceleratorProfile, block: Block, range: Range): Range {
  const held = heldOrNot(profile, block, range);
  if (held) return held;
  throw overflow(profile, block, range);
}

/** For signals that have become so weak: by how much steps may shrink with them. They did not overflow before. */
export function heldStrength(profile: AcceleratorProfile, block: Block, fresh: Range, strength: number): number {
  const overflows = (share: number): boolean =>
    bitsNeeded(profile, block, { ...fresh, steps: fresh.steps.map((step) => share * step) }) >
    profile.converter.accumulatorBits;
  if (neverOverflows(profile, block.rows)) return strength;
  let held = strength;
  while (held < 1 && overflows(held)) held = Math.min(1, held * COARSER);
  return held;
}

/**
 * Whether a layer may be cut into these blocks, asked for whole tiles and then for ever lower ones: no sum can overflow,
 * and no converter needs coarser steps for that than whole tiles had.
 * @throws Failure `plan/does-not-fit` if even a single row's sums can overflow
 */
export function provenCut(profile: AcceleratorProfile, layer: UnitLayer): (blocks: readonly Block[]) => boolean {
  let coarsest: Float32Array | undefined;
  return (blocks) => {
    if (blocks.every(({ rows }) => neverOverflows(profile, rows))) return true;
    const ranges = blocks.map((block) => chooseRange(profile, block, typicalOf(layer, block)));
    coarsest ??= coarsestSteps(layer, blocks, ranges);
    const most = coarsest;
    const failed = blocks.find((block, i) => {
      const held = heldOrNot(profile, block, ranges[i]);
      return held?.steps.every((step, j) => step <= most[block.fromColumn + j]) !== true;
    });
    if (failed?.rows === 1) throw overflow(profile, failed, ranges[blocks.indexOf(failed)]);
    return failed === undefined;
  };
}

/** Of all blocks that a column of the layer goes through. */
function coarsestSteps({ columns }: UnitLayer, blocks: readonly Block[], ranges: readonly Range[]): Float32Array {
  const steps = new Float32Array(columns);
  for (const [i, { fromColumn }] of blocks.entries()) {
    for (const [j, step] of ranges[i].steps.entries()) steps[fromColumn + j] = Math.max(steps[fromColumn + j], step);
  }
  return steps;
}

/** Whatever the levels and the steps are. */
function neverOverflows({ array, cells, converter }: AcceleratorProfile, rows: number): boolean {
  const codes = (2 ** INPUT_BITS - 1) * maxLevel(array);
  const largest = cells.model === "ideal" ? 1 : 2;
  const each = converter.bits === 0 ? largest * rows : 2 ** (converter.bits - 1);
  return codes * each <= capacityOf({ converter });
}

function heldOrNot(profile: AcceleratorProfile, block: Block, range: Range): Range | undefined {
  if (neverOverflows(profile, block.rows)) return range;
  const capacity = capacityOf(profile);
  const steps = range.steps.map((finest, column) => {
    const reach = columnReach(profile, block, column, range.reads);
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      if (reach(finest * COARSER ** turn) <= capacity) return finest * COARSER ** turn;
    }
    return Number.NaN;
  });
  return steps.some(Number.isNaN) ? undefined : { ...range, steps };
}

function overflow(profile: AcceleratorProfile, block: Block, range: Range): Failure {
  const [needed, { accumulatorBits }] = [bitsNeeded(profile, block, range), profile.converter];
  const rows = block.rows === 1 ? "a single row" : `${block.rows} rows`;
  return new Failure(
    "plan/does-not-fit",
    `sums of ${rows} may take ${needed} bits, ${profile.name} adds them up in ${accumulatorBits}`,
    { needed, accumulatorBits },
  );
}

function capacityOf({ converter }: Pick<AcceleratorProfile, "converter">): number {
  return 2 ** (converter.accumulatorBits - 1) - 1;
}

/** How large a column's sum can get with converters of this step, in their codes. */
function columnReach(
  profile: AcceleratorProfile,
  block: Block,
  column: number,
  reads: Uint8Array,
): (step: number) => number {
  const { bits } = profile.converter;
  const planes = Array.from({ length: planeCount(profile.array) }, (_, plane) => plane);
  const signals = planes.map((plane) => signalOf(profile, block, column, plane));
  if (bits === 0)
    return () => signals.reduce((sum, signal, plane) => sum + signal * (2 ** INPUT_BITS - 1) * 2 ** plane, 0);
  const [end, stray] = [2 ** (bits - 1), strayOf(profile)];
  return (step) => {
    let reach = 0;
    for (let at = 0; at < reads.length; at++) {
      const [plane, bit, finer] = [Math.floor(at / INPUT_BITS), at % INPUT_BITS, reads[at] & 15];
      reach += 2 ** (plane + bit - finer) * Math.min(end, (signals[plane] / step) * 2 ** finer + stray);
    }
    return reach;
  };
}

/** What one plane of a column may add up to for one input bit: its positive or its negative cells, as the converter sees them. */
function signalOf(
  { array, cells, converter, temperature }: AcceleratorProfile,
  block: Block,
  column: number,
  plane: number,
): number {
  let [positive, negative] = [0, 0];
  for (let row = 0; row < block.rows; row++) {
    const target = cellTarget(array, block.levels[row * block.columns + column], plane);
    if (target > 0) positive += target;
    else negative -= target;
  }
  const signal = Math.max(positive, negative);
  if (cells.model === "ideal" && converter.bits === 0) return signal;
  const gain = (1 + SIGMAS * converter.gainSigma) * (1 + KELVINS * Math.abs(temperature.gainPerK)) * ROUNDING;
  if (cells.model === "ideal") return gain * signal;
  if (cells.model === "sram") return gain * signal * Math.min(LARGEST_CELL, 1 + SIGMAS * cells.sigma);
  // Memories conduct a little where nothing was programmed, too, and none of them twice what its largest level does.
  return gain * 2 * maxLevel(array) * block.rows;
}

/** By how much a code may be off whatever the signal is: offset, noise and rounding. */
function strayOf({ converter: { offsetLsb, noiseLsb }, temperature: { offsetLsbPerK } }: AcceleratorProfile): number {
  return SIGMAS * (offsetLsb + KELVINS * offsetLsbPerK) + NOISE_SIGMAS * noiseLsb + 1;
}
