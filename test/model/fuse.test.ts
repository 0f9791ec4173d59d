import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { fuseResiduals } from "../../runtime/model/fuse.ts";
import { type Conv2d, type Graph, NO_CLAMP, type Node, RELU } from "../../runtime/model/graph.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { difference } from "../support/golden.ts";
import { randomModel } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("fuse residuals");

const shape = [1, 3, 3, 4];
const conv = (name: string, inputs: string[], more: Partial<Conv2d> = {}): Node => ({
  op: "conv2d",
  name,
  inputs,
  shape,
  rows: 4,
  columns: 4,
  clamp: NO_CLAMP,
  kernel: [1, 1],
  stride: [1, 1],
  dilation: [1, 1],
  pads: [0, 0, 0, 0],
  ...more,
});
const sum = (name: string, a: string, b: string): Node => ({ op: "add", name, inputs: [a, b], shape, clamp: RELU });

const graph = (...nodes: Node[]): Graph => ({
  name: "it",
  input: { name: "x", shape },
  output: nodes[nodes.length - 1].name,
  nodes,
});
const text = ({ nodes }: Graph): string => nodes.map(({ name, inputs }) => `${name}(${inputs})`).join(" ");

const last = conv("y", ["s"]);
const cases: Record<string, [graph: Graph, expected: string]> = {
  "a layer and the model's input": [graph(conv("a", ["x"]), sum("s", "x", "a"), last), "a(x,x) y(a)"],
  "the larger of two layers, wherever it is": [
    graph(
      conv("a", ["x"], { kernel: [3, 3], rows: 36, pads: [1, 1, 1, 1] }),
      conv("b", ["x"]),
      sum("s", "b", "a"),
      last,
    ),
    "b(x) a(x,b) y(a)",
  ],
  "the first of two that are alike": [
    graph(conv("a", ["x"]), conv("b", ["x"]), sum("s", "b", "a"), last),
    "b(x) a(x,b) y(a)",
  ],
  "a branch computed after the layer": [
    graph(conv("a", ["x"]), conv("b", ["x"], { clamp: RELU }), sum("s", "a", "b"), last),
    "b(x) a(x,b) y(a)",
  ],
  "one sum after the other": [
    graph(conv("a", ["x"]), sum("s", "a", "x"), conv("b", ["s"]), sum("t", "s", "b"), conv("y", ["t"])),
    "a(x,x) b(a,a) y(b)",
  ],
  "a sum of a sum, into the layer that is still free": [
    graph(conv("a", ["x"]), conv("b", ["x"]), sum("s", "a", "x"), sum("t", "s", "b"), conv("y", ["t"])),
    "a(x,x) b(x,a) y(b)",
  ],
  "not a layer with a clamp": [graph(conv("a", ["x"], { clamp: RELU }), sum("s", "a", "x"), last), "a(x) s(a,x) y(s)"],
  "not a layer that something else reads": [
    graph(conv("a", ["x"]), sum("s", "a", "x"), sum("y", "s", "a")),
    "a(x) s(a,x) y(s,a)",
  ],
  "not the model's output, which keeps its name": [graph(conv("a", ["x"]), sum("y", "a", "x")), "a(x) y(a,x)"],
  "not a layer and itself": [graph(conv("a", ["x"]), sum("s", "a", "a"), last), "a(x) s(a,a) y(s)"],
  "not a bias of one pixel": [
    graph(conv("a", ["x"]), { ...conv("p", ["x"]), shape: [1, 1, 1, 4] }, sum("s", "a", "p"), last),
    "a(x) p(x) s(a,p) y(s)",
  ],
};

for (const [name, [before, expected]] of Object.entries(cases)) {
  test(name, () => {
    const after = fuseResiduals(before);
    assert.is(text(after), expected);
    if (name.includes("pixel")) return;
    const model = randomModel(before, 3);
    const inputs = normals(2 * sizeOf(shape), 4);
    const fused = { ...model, graph: after };
    const answer = entry(naive(fused, inputs, 2), after.output);
    assert.ok(difference(answer, entry(naive(model, inputs, 2), before.output)) < 1e-6);
  });
}

test.run();
