/** What a benchmark's own process is asked and what it answers. */
export type Order = "round" | "finish";

export type Reply =
  /** After the first answer: milliseconds since the process began. */
  | { readonly type: "ready"; readonly coldMs: number }
  | { readonly type: "round" }
  | { readonly type: "figures"; readonly figures: Figures }
  | { readonly type: "failed"; readonly message: string };

/** Of all inferences that one process timed. */
export interface Figures {
  readonly minUs: number;
  readonly medianUs: number;
  readonly p999Us: number;
  /** The tail (p99.9 over the median) that the machine gives a loop which is no engine, in the same process. */
  readonly floor: number;
  readonly rssMb: number;
}

/** What runs: an engine of engines.ts, a file for it, and the name under which it is reported. */
export interface Contender {
  readonly name: string;
  readonly engine: string;
  readonly file: string;
}
