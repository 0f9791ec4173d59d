import { Failure } from "../../base/failure.ts";
import { shapeText } from "../../tensor/tensor.ts";
import type { Builder, Placed } from "./builder.ts";
import { shapeOfView, type View } from "./view.ts";

/** Which of the file's axes are batch, height, width and channel; an axis that the file doesn't have is left empty. */
export type Layout = readonly [readonly number[], readonly number[], readonly number[], readonly number[]];

/** The value as an image [1, height, width, channels]. */
export function asImage(builder: Builder, view: View, layout: Layout): Placed {
  if (view.axes.length !== layout.flat().length) {
    throw new Failure(
      "import/unsupported-shape",
      `expected an image with ${layout.flat().length} axes, found shape ${shapeText(shapeOfView(view))}`,
    );
  }
  const placed = builder.arrange(view, layout);
  if (placed.shape[0] === 1) return placed;
  throw new Failure("import/unsupported-shape", `a batch of ${placed.shape[0]}; only a batch of 1 is supported`);
}

/** An image seen through the layout it came with. */
export function imageView(view: View, layout: Layout): View {
  const axes: (readonly number[])[] = [];
  layout.forEach((axis, i) => {
    if (axis.length > 0) axes[axis[0]] = view.axes[i];
  });
  return { ...view, axes };
}
