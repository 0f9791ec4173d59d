import { Failure } from "../../base/failure.ts";
import type { Builder } from "./builder.ts";
import { axisGroups } from "./concat.ts";
import { shapeOfView, type View } from "./view.ts";

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

/** From `start` to before `end`, both counted from the axis' end if negative, and no further than it goes. */
export function addRange(builder: Builder, label: string, view: View, axis: number, start: number, end: number): View {
  const whole = shapeOfView(view)[axis];
  const inside = (at: number): number => Math.max(0, Math.min(whole, at < 0 ? at + whole : at));
  const length = inside(end) - inside(start);
  if (!(length > 0)) throw new Failure("import/unsupported-shape", `nothing is left of axis ${axis}`);
  return length === whole ? view : addSlice(builder, label, view, axis, inside(start), length);
}
