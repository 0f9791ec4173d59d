/**
 * readout-reference.ts, eight lanes at a time; every number is the same. A lane is one column of one plane; planes are
 * filled up to eight columns. Rows are added up beforehand in groups of four, for each of the 16 patterns that an input
 * bit has in them, so a sum of 16 bits takes one addition for each group.
 */
const BITS: i32 = 8;
const GROUP: i32 = 4;
const PATTERNS: i32 = 16;
/** Of the sum of four random bytes. */
const BYTES_MEAN: i32 = 510;

let rows: i32 = 0;
let columns: i32 = 0;
let planes: i32 = 0;
let shift: i32 = 0;
let noiseScale: i32 = 0;
let maxCode: i32 = 0;
let skips: bool = false;
/** Bytes of a row of the table. */
let pitch: usize = 0;

/** Where things are: groups x patterns x lanes i16; lanes i32; lanes i32; planes x bits u8; four u32. */
let table: usize = 0;
let multipliers: usize = 0;
let addends: usize = 0;
let reads: usize = 0;
let noise: usize = 0;
/** Room for one sum of 16 bits for each lane, and for one address for each group. */
let sums: usize = 0;
let active: usize = 0;

export function describe(
  rows_: i32, columns_: i32, planes_: i32, shift_: i32, noiseScale_: i32, maxCode_: i32, skips_: bool,
): void {
  rows = rows_;
  columns = columns_;
  planes = planes_;
  shift = shift_;
  noiseScale = noiseScale_;
  maxCode = maxCode_;
  skips = skips_;
  pitch = (<usize>planes * wide()) << 1;
}

export function locate(
  table_: usize, multipliers_: usize, addends_: usize, reads_: usize, noise_: usize, sums_: usize, active_: usize,
): void {
  table = table_;
  multipliers = multipliers_;
  addends = addends_;
  reads = reads_;
  noise = noise_;
  sums = sums_;
  active = active_;
}

/** Columns of a plane, filled up. */
@inline
function wide(): usize {
  return (<usize>columns + 7) & ~7;
}

/** `vectors`: count x rows codes and three bytes more; `totals`: count x filled up columns, zeros. */
export function read(vectors: usize, count: i32, totals: usize): i32 {
  let saturated = 0;
  for (let i = 0; i < count; i++) {
    for (let bit = 0; bit < BITS; bit++) {
      const groups = activate(vectors, bit);
      if (groups === 0 && skips) continue;
      addUp(groups);
      for (let plane = 0; plane < planes; plane++) saturated += convert(bit, plane, totals);
    }
    vectors += rows;
    totals += wide() << 2;
  }
  return saturated;
}

/** Lists where the sums of the groups are that have this input bit anywhere. Returns how many. */
function activate(vector: usize, bit: i32): i32 {
  let to = active;
  let group = table;
  for (let row = 0; row < rows; row += GROUP) {
    let codes = load<u32>(vector + row);
    if (rows - row < GROUP) codes &= (1 << ((rows - row) << 3)) - 1;
    // The bits of four bytes, side by side in the highest byte.
    const pattern = (((codes >> bit) & 0x01010101) * 0x01020408) >> 24;
    store<usize>(to, group + <usize>pattern * pitch);
    to += pattern ? sizeof<usize>() : 0;
    group += <usize>PATTERNS * pitch;
  }
  return <i32>((to - active) / sizeof<usize>());
}

function addUp(groups: i32): void {
  const end = active + <usize>groups * sizeof<usize>();
  let at: usize = 0;
  for (; at + 64 <= pitch; at += 64) {
    let s0 = i16x8.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (let from = active; from < end; from += sizeof<usize>()) {
      const entry = load<usize>(from) + at;
      s0 = i16x8.add(s0, v128.load(entry));
      s1 = i16x8.add(s1, v128.load(entry, 16));
      s2 = i16x8.add(s2, v128.load(entry, 32));
      s3 = i16x8.add(s3, v128.load(entry, 48));
    }
    v128.store(sums + at, s0);
    v128.store(sums + at, s1, 16);
    v128.store(sums + at, s2, 32);
    v128.store(sums + at, s3, 48);
  }
  for (; at < pitch; at += 16) {
    let s = i16x8.splat(0);
    for (let from = active; from < end; from += sizeof<usize>()) s = i16x8.add(s, v128.load(load<usize>(from) + at));
    v128.store(sums + at, s);
  }
}

/** All reads of one plane for one input bit. Returns how many codes hit an end of the range. */
function convert(bit: i32, plane: i32, totals: usize): i32 {
  const plan = <i32>load<u8>(reads + plane * BITS + bit);
  const finer = plan & 15;
  const repeats = plan >> 4;
  const up = bit + plane - finer - repeats;
  const down = shift - finer;
  const first = <usize>plane * wide();
  const max = i32x4.splat(maxCode), min = i32x4.splat(-maxCode - 1);
  let state = v128.load(noise);
  let saturated = i32x4.splat(0);
  for (let again = 1 << repeats; again > 0; again--) {
    for (let column = 0; column < columns; column += 4) {
      // xorshift32 (Marsaglia 2003), one stream for every fourth column; columns that only fill up draw nothing.
      let next = v128.xor(state, i32x4.shl(state, 13));
      next = v128.xor(next, i32x4.shr_u(next, 17));
      next = v128.xor(next, i32x4.shl(next, 5));
      const used = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(columns - column));
      state = v128.bitselect(next, state, used);
      const bytes = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(state));
      const jitter = i32x4.shr_s(i32x4.mul(i32x4.sub(bytes, i32x4.splat(BYTES_MEAN)), i32x4.splat(noiseScale)), 12);
      const lane = first + column;
      const sum = v128.load16x4_s(sums + (lane << 1));
      const signal = i32x4.add(
        i32x4.shr_s(i32x4.mul(sum, v128.load(multipliers + (lane << 2))), down),
        v128.load(addends + (lane << 2)),
      );
      const code = i32x4.shr_s(i32x4.add(signal, jitter), 8);
      const clamped = i32x4.min_s(i32x4.max_s(code, min), max);
      saturated = i32x4.sub(saturated, v128.and(i32x4.ne(code, clamped), used));
      const to = totals + (<usize>column << 2);
      v128.store(to, i32x4.add(v128.load(to), i32x4.shl(clamped, up)));
    }
  }
  v128.store(noise, state);
  return (
    i32x4.extract_lane(saturated, 0) + i32x4.extract_lane(saturated, 1) +
    i32x4.extract_lane(saturated, 2) + i32x4.extract_lane(saturated, 3)
  );
}
