import { Failure } from "../../base/failure.ts";
import type { Window } from "../graph.ts";

type Pair = readonly [number, number];
export type Pads = Window["pads"];

/** How a file says where its windows stand. */
export interface WindowSpec {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Exact pads, or: none, or as many as give ceil(size / stride) windows, an odd one at the end or at the start. */
  readonly padding: Pads | "valid" | "same-upper" | "same-lower";
  /** A last window may reach over the end (ONNX ceil_mode). */
  readonly ceil?: boolean;
}

interface Placement {
  readonly window: Window;
  /** Height and width. */
  readonly output: Pair;
}

interface Axis {
  readonly before: number;
  readonly after: number;
  readonly length: number;
}

/** The window with explicit pads, and how many places it has on an input of `size` [height, width]. */
export function placeWindow(spec: WindowSpec, size: Pair): Placement {
  const { kernel, stride, dilation } = spec;
  for (const value of [...kernel, ...stride, ...dilation]) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new Failure(
      "import/unsupported-attribute",
      `kernel, stride and dilation have to be at least 1, found ${value}`,
    );
  }
  const [y, x] = ([0, 1] as const).map((axis) => placeAxis(spec, axis, size[axis]));
  return {
    window: { kernel, stride, dilation, pads: [y.before, x.before, y.after, x.after] },
    output: [y.length, x.length],
  };
}

function placeAxis(spec: WindowSpec, axis: 0 | 1, size: number): Axis {
  const stride = spec.stride[axis];
  const reach = (spec.kernel[axis] - 1) * spec.dilation[axis] + 1;
  const { before, after } = padsOf(spec, axis, size, reach);
  if (![before, after].every((pad) => Number.isSafeInteger(pad) && pad >= 0)) {
    throw new Failure("import/unsupported-attribute", `pads have to be 0 or more, found ${before} and ${after}`);
  }
  const room = size + before + after - reach;
  if (room < 0) {
    throw new Failure("import/unsupported-shape", `a window of ${reach} is larger than its input of ${size} with pads`);
  }
  const length = Math.floor(room / stride) + 1;
  const over = spec.ceil ? (stride - (room % stride)) % stride : 0;
  // A window that would start behind the input is left out.
  const extra = over > 0 && length * stride < size + before ? over : 0;
  return { before, after: after + extra, length: extra > 0 ? length + 1 : length };
}

function padsOf({ padding, stride }: WindowSpec, axis: 0 | 1, size: number, reach: number): Omit<Axis, "length"> {
  if (padding === "valid") return { before: 0, after: 0 };
  if (typeof padding === "object") return { before: padding[axis], after: padding[axis + 2] };
  const total = Math.max(0, (Math.ceil(size / stride[axis]) - 1) * stride[axis] + reach - size);
  const less = Math.floor(total / 2);
  return padding === "same-upper" ? { before: less, after: total - less } : { before: total - less, after: less };
}
