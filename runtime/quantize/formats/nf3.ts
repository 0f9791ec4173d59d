import type { QuantFormat } from "../format.ts";
import { nearestIn, normalFloat } from "./code-book.ts";

/** As NF4 with eight levels (the generator of QLoRA's code, bitsandbytes `create_normal_map`, for 3 bits). */
// biome-ignore format: one row per sign
export const NF3_LEVELS: readonly number[] = [
  -1, -0.478629160115911, -0.21714181782574396, 0,
  0.1609301727049362, 0.33791519352165506, 0.5626169700752374, 1,
];

const codeBook = normalFloat(NF3_LEVELS, 60);

/** 3-bit codes, one bfloat16 scale per block along the input axis. */
export const nf3: QuantFormat = {
  name: "nf3",
  bits: 3,
  scaleBits: 16,
  blocked: true,
  codeBook,
  nearest: nearestIn(codeBook),
};
