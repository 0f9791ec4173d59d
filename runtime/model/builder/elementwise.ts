import { Failure } from "../../base/failure.ts";
import { sameShape, shapeText, sizeOf } from "../../tensor/tensor.ts";
import { NO_CLAMP } from "../graph.ts";
import { addActivation } from "./activation.ts";
import { addAffine } from "./affine.ts";
import type { Builder } from "./builder.ts";
import { factorsOf, reshapeView, shapeOfView, transposeView, type View, withRank } from "./view.ts";

/** Two values of equal shape, or one that is repeated along some axes of the other. */
export function addElementwise(builder: Builder, label: string, op: "add" | "mul", first: View, second: View): View {
  const rank = Math.max(first.axes.length, second.axes.length);
  const [a, b] = [withRank(first, rank), withRank(second, rank)];
  if (op === "mul") {
    const swish = hardSwish(builder, label, a, b) ?? hardSwish(builder, label, b, a);
    if (swish) return swish;
  }
  const [shapeA, shapeB] = [shapeOfView(a), shapeOfView(b)];
  const repeats = (small: readonly number[], large: readonly number[]): boolean =>
    small.every((length, i) => length === 1 || length === large[i]);
  if (sameShape(shapeA, shapeB)) return addEqual(builder, label, op, a, b);
  if (repeats(shapeB, shapeA)) return addRepeated(builder, label, op, a, b);
  if (repeats(shapeA, shapeB)) return addRepeated(builder, label, op, b, a);
  throw new Failure(
    "import/unsupported-shape",
    `operands of ${shapeText(shapeA)} and ${shapeText(shapeB)}; one has to be the other's shape or repeat along it`,
  );
}

function addEqual(builder: Builder, label: string, op: "add" | "mul", a: View, b: View): View {
  const shape = builder.shape(a.value);
  const second = builder.reshaped(alike(builder, b, a), shape);
  const name = builder.name(label);
  builder.add({ op, name, inputs: [a.value, second.value], shape, clamp: NO_CLAMP });
  return { ...a, value: name, shared: false };
}

function addRepeated(builder: Builder, label: string, op: "add" | "mul", large: View, small: View): View {
  const dims = shapeOfView(small).flatMap((length, axis) => (length > 1 ? [axis] : []));
  const a = builder.behind(large, dims);
  const inner = factorsOf(a, dims);
  const channels = sizeOf(inner.map((factor) => a.factors[factor]));
  const stored = builder.shape(a.value);
  const shape = stored.length === 4 && stored[3] === channels ? stored : [1, 1, sizeOf(stored) / channels, channels];
  const part = { ...a, factors: inner.map((factor) => a.factors[factor]), axes: dims.map((axis) => a.axes[axis]) };
  const first = inner[0] ?? 0;
  const like = { ...part, axes: part.axes.map((group) => group.map((factor) => factor - first)) };
  const narrow = { ...small, axes: dims.map((axis) => small.axes[axis]) };
  const inputs = [
    builder.reshaped(a.value, shape).value,
    builder.reshaped(alike(builder, narrow, like), [1, 1, 1, channels]).value,
  ];
  const name = builder.name(label);
  builder.add({ op, name, inputs, shape, clamp: NO_CLAMP });
  return { ...a, value: name, shared: false };
}

/** A value with the elements of `view` in the physical order of `model`; both have the same shape in the file. */
function alike(builder: Builder, view: View, model: View): string {
  const inFile = model.axes.flat();
  const shape = inFile.map((factor) => model.factors[factor]);
  const cut = reshapeView(view, shape) ?? builder.reshape(view, shape);
  const physical = model.factors.map((_, factor) => inFile.indexOf(factor));
  return builder.arrange(transposeView(cut, physical), [physical.map((_, i) => i)]).value;
}

/** x * hardSigmoid(x) with the slope and offset of hard swish, as PyTorch writes it before opset 14. */
function hardSwish(builder: Builder, label: string, x: View, gate: View): View | undefined {
  const node = builder.producer(gate);
  if (node?.op !== "activation" || node.activation !== "hard-sigmoid" || node.inputs[0] !== x.value) return undefined;
  if (`${x.factors}|${x.axes.join(";")}` !== `${gate.factors}|${gate.axes.join(";")}`) return undefined;
  const [alpha, beta] = node.parameters;
  if (Math.abs(alpha - 1 / 6) > 1e-6 || beta !== 0.5) return undefined;
  return addActivation(builder, label, x, "hard-swish");
}

/** first - second. */
export function addDifference(builder: Builder, label: string, first: View, second: View): View {
  const negative = addAffine(builder, `${label}:negative`, second, [], Float32Array.of(-1), Float32Array.of(0));
  return addElementwise(builder, label, "add", first, negative);
}
