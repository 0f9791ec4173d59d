import { Window } from "./descriptors";

/** Words at the start of memory, written by memory.ts: where scratch begins now, what rounds, ones, sign bits. */
const SCRATCH: usize = 0;
const MAGIC: usize = 4;
const ONES: usize = 8;
const SIGNS: usize = 12;
/** Room for two vectors. */
export const spare: usize = 16;
/** Room for eight. */
export const values: usize = 48;

/** Constants are loaded, because V8 would build them anew in every turn of a loop. This one rounds (rounding.ts). */
@inline
export function magic(): v128 {
  return v128.load32_splat(MAGIC);
}

/** Eight ones of 16 bits. */
@inline
export function ones(): v128 {
  return v128.load32_splat(ONES);
}

/** The highest bit of each byte. */
@inline
export function signs(): v128 {
  return v128.load32_splat(SIGNS);
}

@inline
export function scratch(): usize {
  return load<usize>(SCRATCH);
}

/** The image that the windows stand on: the input itself, or its copy with a border. */
export function imageOf(w: Window): usize {
  if (!w.bordered) return w.input;
  const image = scratch();
  memory.fill(image, <u8>w.border, w.imageBytes);
  let from = w.input;
  let to = image + w.inset;
  for (let row = 0; row < w.inputRows; row++) {
    copyRow(to, from, w.rowBytes);
    from += w.rowBytes;
    to += w.pitch;
  }
  return image;
}

/** Rows are short: memory.copy, which leaves WebAssembly, takes longer. */
@inline
function copyRow(to: usize, from: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

/** Where the window of an output position starts; the last position stands in for those beyond it. */
@inline
export function windowAt(w: Window, image: usize, position: i32): usize {
  const p = min(position, w.positions - 1);
  const y = p / w.width;
  return image + <usize>y * w.stepY + <usize>(p - y * w.width) * w.stepX;
}
