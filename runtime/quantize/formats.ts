import type { FormatName } from "../model/stages.ts";
import type { QuantFormat } from "./format.ts";
import { dpq } from "./formats/dpq.ts";
import { dpqFp8 } from "./formats/dpq-fp8.ts";
import { int2 } from "./formats/int2.ts";
import { int3 } from "./formats/int3.ts";
import { int4 } from "./formats/int4.ts";
import { int8 } from "./formats/int8.ts";
import { nf2 } from "./formats/nf2.ts";
import { nf3 } from "./formats/nf3.ts";
import { nf4 } from "./formats/nf4.ts";
import { pot4 } from "./formats/pot4.ts";
import { ternary } from "./formats/ternary.ts";

/** Adding a format is one file, one name in stages.ts and one line here. Nothing else switches on a format's name. */
export const formats: Readonly<Record<FormatName, QuantFormat>> = {
  int8,
  nf4,
  int4,
  pot4,
  nf3,
  int3,
  nf2,
  int2,
  ternary,
  dpq,
  "dpq-fp8": dpqFp8,
};
