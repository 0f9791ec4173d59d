import type { QuantFormat } from "../format.ts";
import { nearestIn, normalFloat } from "./code-book.ts";

/** As NF4 with four levels (the generator of QLoRA's code, bitsandbytes `create_normal_map`, for 2 bits). */
export const NF2_LEVELS: readonly number[] = [-1, 0, 0.33791519352165506, 1];

const codeBook = normalFloat(NF2_LEVELS, 61);

/** 2-bit codes with an exact zero, one bfloat16 scale per block along the input axis; its sign says which way round. */
export const nf2: QuantFormat = {
  name: "nf2",
  bits: 2,
  scaleBits: 16,
  blocked: true,
  codeBook,
  nearest: nearestIn(codeBook),
};
