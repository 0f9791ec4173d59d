/** What became of one layer, measured while the whole model answers. */
export interface LayerFit {
  readonly name: string;
  readonly op: string;
  readonly format: string;
  /** Per weight, scales included. */
  readonly bits: number;
  readonly rank: number;
  readonly unit: "digital" | "accelerator";
  /** RMS of the difference of its output to the float model's, over RMS of that. */
  readonly error: number;
  /**
   * Of a layer on tiles, for each column: RMS of the difference of its raw products to the ones that were meant, over
   * the RMS of these in the whole layer. This is what the correction has to make good.
   */
  readonly columns?: readonly number[] | undefined;
}
