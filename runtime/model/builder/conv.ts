import { Failure } from "../../base/failure.ts";
import type { Shape } from "../../tensor/tensor.ts";
import { NO_CLAMP, type Window } from "../graph.ts";
import type { Builder, Placed } from "./builder.ts";
import { asImage, imageView, type Layout } from "./image.ts";
import type { View } from "./view.ts";
import { type Pads, placeWindow, type WindowSpec } from "./window.ts";

/** The weights of a convolution as the file stores them: where the weight of y, x, input, output is. */
export interface Filter {
  readonly weights: Float32Array;
  readonly strides: { readonly y: number; readonly x: number; readonly input: number; readonly output: number };
  /** Inputs of one group, and outputs of all groups. */
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly bias: Float32Array | undefined;
}

/**
 * A convolution. With one filter per channel it is a depthwise layer; other groups become a dense one with zeros
 * between the groups.
 */
export function addConv(
  builder: Builder,
  label: string,
  view: View,
  layout: Layout,
  spec: WindowSpec,
  filter: Filter,
): View {
  const { value, shape, pads } = withoutPad(builder, view, asImage(builder, view, layout));
  checkFilter(filter, spec, shape[3]);
  const { window, output } = placeWindow(addPads(spec, pads, shape), [shape[1], shape[2]]);
  const depthwise = filter.groups > 1 && filter.inputs === 1 && filter.outputs === filter.groups;
  const taps = window.kernel[0] * window.kernel[1];
  const rows = depthwise ? taps : taps * shape[3];
  const columns = filter.outputs;
  builder.reserve(rows, columns);
  const base = { name: builder.name(label), inputs: [value], shape: [1, ...output, columns], rows, columns };
  const added = builder.add(
    { ...base, ...window, op: depthwise ? "depthwise" : "conv2d", clamp: NO_CLAMP },
    {
      weights: depthwise ? depthwiseWeights(filter, window) : convWeights(filter, window, shape[3]),
      bias: filter.bias ?? new Float32Array(columns),
    },
  );
  return imageView(added, layout);
}

function checkFilter(
  { weights, inputs, outputs, groups, bias }: Filter,
  { kernel }: WindowSpec,
  channels: number,
): void {
  const wanted = inputs * outputs * kernel[0] * kernel[1];
  const found = `weights for ${groups} groups of ${inputs} channels and ${outputs} outputs`;
  if (!Number.isSafeInteger(groups) || groups < 1 || inputs * groups !== channels || outputs % groups !== 0) {
    throw new Failure("import/malformed", `${found} don't fit an input with ${channels} channels`);
  }
  if (weights.length !== wanted) {
    throw new Failure("import/malformed", `${found} have to be ${wanted} numbers, found ${weights.length}`);
  }
  if (bias && bias.length !== outputs) {
    throw new Failure("import/malformed", `expected a bias for ${outputs} outputs, found ${bias.length}`);
  }
}

/** A pad of zeros before a convolution moves into its window. */
function withoutPad(builder: Builder, view: View, image: Placed): Placed & { pads: Pads } {
  const node = view.value === image.value ? builder.producer(view) : undefined;
  if (node?.op !== "pad" || node.value !== 0) return { ...image, pads: [0, 0, 0, 0] };
  const [value] = node.inputs;
  return { value, shape: builder.shape(value), pads: node.pads };
}

/** `spec` on an input that has lost `pads`. */
function addPads(spec: WindowSpec, pads: Pads, shape: Shape): WindowSpec {
  if (pads.every((pad) => pad === 0)) return spec;
  const [top, left, bottom, right] = pads;
  const padded = [shape[1] + top + bottom, shape[2] + left + right] as const;
  const own = placeWindow(spec, padded).window.pads;
  return { ...spec, padding: [top + own[0], left + own[1], bottom + own[2], right + own[3]] };
}

function convWeights(filter: Filter, { kernel }: Window, channels: number): Float32Array {
  const { weights, strides, inputs, outputs, groups } = filter;
  const [height, width] = kernel;
  const outputsPerGroup = outputs / groups;
  const packed = new Float32Array(height * width * channels * outputs);
  for (let o = 0; o < outputs; o++) {
    const first = Math.floor(o / outputsPerGroup) * inputs;
    for (let tap = 0; tap < height * width; tap++) {
      const from = Math.floor(tap / width) * strides.y + (tap % width) * strides.x + o * strides.output;
      for (let i = 0; i < inputs; i++) {
        packed[(tap * channels + first + i) * outputs + o] = weights[from + i * strides.input];
      }
    }
  }
  return packed;
}

function depthwiseWeights({ weights, strides, outputs }: Filter, { kernel }: Window): Float32Array {
  const width = kernel[1];
  const packed = new Float32Array(kernel[0] * width * outputs);
  return packed.map((_, i) => {
    const [tap, channel] = [Math.floor(i / outputs), i % outputs];
    return weights[Math.floor(tap / width) * strides.y + (tap % width) * strides.x + channel * strides.output];
  });
}
