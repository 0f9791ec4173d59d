import type { Builder } from "./builder.ts";
import { axisGroups } from "./concat.ts";
import type { View } from "./view.ts";

/** `length` elements of the file's axis `axis`, from `start` on. */
export function addSlice(
  builder: Builder,
  label: string,
  view: View,
  axis: number,
  start: number,
  length: number,
): View {
  const groups = axisGroups(builder, [view], axis);
  const at = groups.findIndex((group) => group[0] === axis);
  const from = builder.arrange(view, groups);
  const shape = from.shape.with(at, length);
  const name = builder.name(label);
  const added = builder.add({ op: "slice", name, inputs: [from.value], shape, axis: at, start });
  const axes = view.axes.map((_, dim) => added.axes[groups.findIndex((group) => group[0] === dim)] ?? []);
  return { ...added, axes };
}
