/**
 * Where the matrix product of a layer is done. The plan owns this interface; the firmware bridge implements it
 * with tiles of an analog accelerator, and the plan itself falls back to its own kernels.
 */
export interface MatmulUnit {
  readonly name: string;
  /** Of the very device that computes: corrections fitted on one are worthless on another. */
  readonly uid: string;
  /** Layers that are programmed and usable now. A layer not listed is computed digitally. */
  readonly layers: ReadonlySet<string>;
  /** Tiles that are programmed for these layers; undefined where there are none to wear. */
  readonly tilesUsed?: number | undefined;
  /**
   * For each of `count` input vectors of unsigned 8-bit codes (row-major, count x rows) the product with the
   * layer's weights: count x columns, sum over rows of code * weight, in weight units. Neither zero point,
   * activation scale, bias nor correction are applied.
   * @throws Failure `bridge/...` when the accelerator cannot answer; the caller falls back to digital.
   */
  multiply(layer: string, inputs: Uint8Array, count: number): Promise<Float32Array>;
  /**
   * How strong the signals of each of its tiles were, of fresh ones', when they were last programmed or trimmed: by that
   * a level of drift is known again. Absent where nothing drifts.
   */
  readonly strengths?: readonly number[] | undefined;
  /** The weights that the unit believes to hold for a layer, rows x columns: the known part of its error. */
  nominal(layer: string): Promise<Float32Array>;
  /** Corrections are about to be fitted to what it answers by now: a unit that loses that is not to restore what was before. */
  refit?(): void;
  /**
   * Makes the best of what has become of the cells, without samples: products as strong as when they were fresh, and
   * `nominal` as the weights are now. Absent where nothing drifts.
   */
  trim?(): Promise<void>;
  /** Programs the same levels again, so that the cells are as they were when fresh. */
  reprogram?(): Promise<void>;
}

/** The unit, asked for its products in another way. */
export function multiplyingBy(unit: MatmulUnit, multiply: MatmulUnit["multiply"]): MatmulUnit {
  return {
    name: unit.name,
    uid: unit.uid,
    tilesUsed: unit.tilesUsed,
    get layers() {
      return unit.layers;
    },
    get strengths() {
      return unit.strengths;
    },
    nominal: (layer) => unit.nominal(layer),
    trim: async () => unit.trim?.(),
    multiply,
  };
}

/** What a unit needs to know of a layer before it can hold it. */
export interface UnitLayer {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** rows x columns, row-major, float. The unit chooses its own levels. */
  readonly weights: Float32Array;
  /** Typical input vectors (codes), count x rows, to set the range of the converters from. */
  readonly typicalInputs: Uint8Array;
  /** Covariance of the input codes, rows x rows: which errors of levels cancel in the products. None: they are rounded. */
  readonly moments?: Float64Array;
  /** Output positions per inference: how many vectors one inference sends. */
  readonly positions: number;
}

/** An accelerator that can be given layers. */
export interface Accelerator {
  /** Programs the layers that benefit most and fit; which ones is in the unit's `layers`. */
  place(layers: readonly UnitLayer[]): Promise<MatmulUnit>;
  /** What was placed last, on the tiles as they are; undefined if they do not hold it any more. */
  held?(): Promise<MatmulUnit | undefined>;
  /** The same with its levels programmed again, so that its cells are as they were when fresh. */
  renewed?(): Promise<MatmulUnit | undefined>;
}

/** Told of a link that goes (`lost`) or comes back with the tiles programmed again (`restored`). */
export type LinkListener = (event: "lost" | "restored", message: string) => void;

/** What a link has been through since it was opened. */
export interface LinkCounters {
  readonly roundTripMs: number | undefined;
  readonly retransmits: number;
  /** Frames whose check sum was wrong, and what was no frame at all. */
  readonly crcErrors: number;
  readonly malformed: number;
  /** Times that the device restarted, or the link was lost. */
  readonly resets: number;
  readonly losses: number;
}

/** An accelerator on a cable that can be pulled. */
export interface LinkedAccelerator extends Accelerator {
  /** Undefined before the first attempt to reach it. */
  readonly linked: boolean | undefined;
  /** Undefined before it was reached. */
  readonly counters?: LinkCounters | undefined;
  listen(listener: LinkListener): void;
}
