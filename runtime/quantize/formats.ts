import type { FormatName } from "../model/stages.ts";
import type { QuantFormat } from "./format.ts";
import { int8 } from "./int8.ts";
import { nf4 } from "./nf4.ts";

/** Adding a format is one file, one name in stages.ts and one line here. Nothing else switches on a format's name. */
export const formats: Readonly<Record<FormatName, QuantFormat>> = { int8, nf4 };
