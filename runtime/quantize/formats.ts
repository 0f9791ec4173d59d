import type { FormatName } from "../model/stages.ts";
import { dpq } from "./dpq.ts";
import { dpqFp8 } from "./dpq-fp8.ts";
import type { QuantFormat } from "./format.ts";
import { int2 } from "./int2.ts";
import { int3 } from "./int3.ts";
import { int4 } from "./int4.ts";
import { int8 } from "./int8.ts";
import { nf2 } from "./nf2.ts";
import { nf3 } from "./nf3.ts";
import { nf4 } from "./nf4.ts";
import { pot4 } from "./pot4.ts";
import { ternary } from "./ternary.ts";

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
