import { Failure } from "../../base/failure.ts";
import { shapeText, sizeOf } from "../../tensor/tensor.ts";
import type { Builder } from "./builder.ts";
import { shapeOfView, type View } from "./view.ts";

/** Along the file's axis `axis`, in the physical order of the largest operand. */
export function addConcat(builder: Builder, label: string, views: readonly View[], axis: number): View {
  const shapes = views.map(shapeOfView);
  const [head] = shapes;
  if (shapes.some((shape) => shape.length !== head.length || shape.some((n, i) => i !== axis && n !== head[i]))) {
    const text = shapes.map(shapeText).join(" and ");
    throw new Failure("import/malformed", `shapes ${text} have to be equal but for axis ${axis}`);
  }
  const groups = axisGroups(builder, views, axis);
  const parts = views.map((view) => builder.arrange(view, groups));
  const at = groups.findIndex((group) => group[0] === axis);
  const shape = parts[0].shape.with(
    at,
    parts.reduce((sum, part) => sum + part.shape[at], 0),
  );
  const name = builder.name(label);
  const added = builder.add({ op: "concat", name, inputs: parts.map(({ value }) => value), shape, axis: at });
  return { ...added, axes: head.map((_, dim) => added.axes[groups.findIndex((group) => group[0] === dim)] ?? []) };
}

/** One physical axis per group, a batch of 1 in front. */
export function axisGroups(builder: Builder, views: readonly View[], axis: number): (readonly number[])[] {
  const size = (view: View): number => sizeOf(builder.shape(view.value));
  const largest = views.reduce((best, view) => (size(view) > size(best) ? view : best));
  const shape = shapeOfView(largest);
  const place = (dim: number): number => largest.axes[dim][0] ?? -1;
  const order = shape.map((_, dim) => dim).sort((a, b) => place(a) - place(b));
  const isBatch = order[0] !== axis && shape[order[0]] === 1;
  if (order.length <= 4 && isBatch) return order.map((dim) => [dim]);
  const long = order.filter((dim) => dim === axis || shape[dim] > 1);
  if (long.length <= 3) return [[], ...long.map((dim) => [dim])];
  throw new Failure("import/unsupported-shape", `a cut across ${long.length} axes; up to 3 and a batch are supported`);
}
