import { readFile } from "node:fs/promises";
import { gaussian } from "../../runtime/base/random.ts";
import type { Node } from "../../runtime/model/graph.ts";
import type { Runner } from "../../runtime/plan/run.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { loadLiteRt, loadPeer } from "./peers.ts";

/** One inference on the same random input each time, f32 in and out (LiteRT: int8 if its model is). */
export type Infer = () => unknown;

/** Loads its own code, so that a process holds nothing but the engine that it measures. */
type OpenEngine = (file: string) => Promise<Infer>;

export const engines: Readonly<Record<string, OpenEngine>> = {
  "bare node": async () => () => undefined,
  "empty steps": openSteps,
  polaredge: openPolaredge,
  "tfjs-wasm": openTfjs,
  "onnxruntime-node": (file) => openOnnxRuntime("onnxruntime-node", "cpu", file),
  "onnxruntime-web": (file) => openOnnxRuntime("onnxruntime-web", "wasm", file),
  "LiteRT.js": openLiteRt,
};

async function openPolaredge(file: string): Promise<Infer> {
  const { openModel } = await import("../../runtime/index.ts");
  return inferenceOf(await openModel(file));
}

function inferenceOf(runner: Runner): Infer {
  const [input, output] = [noise(runner.inputLength), new Float32Array(runner.outputLength)];
  return () => runner.runSync(input, output);
}

/** So many that what surrounds them does not count. */
export const STEPS = 2048;

/** A plan of steps that change one number each, to see what a step costs beyond its kernel. */
async function openSteps(): Promise<Infer> {
  const { openPlan } = await import("../../runtime/plan/open.ts");
  const step = (i: number): Node => ({
    op: "activation",
    name: `${i + 1}`,
    inputs: [`${i}`],
    shape: [1, 1],
    activation: "clamp",
    parameters: [0, 1],
  });
  const runner = await openPlan({
    stage: "polarized",
    graph: {
      name: "steps",
      input: { name: "0", shape: [1, 1] },
      nodes: Array.from({ length: STEPS }, (_, i) => step(i)),
      output: `${STEPS}`,
    },
    ranges: new Map(Array.from({ length: STEPS + 1 }, (_, i) => [`${i}`, { scale: 1 / 255, zeroPoint: 0 }])),
    layers: new Map(),
    accelerator: undefined,
  });
  return inferenceOf(runner);
}

async function openTfjs(file: string): Promise<Infer> {
  const { importModel } = await import("../../runtime/model/import.ts");
  const { openTeacher } = await import("../../runtime/kernels/float.ts");
  const model = importModel(await readFile(file), file);
  const teacher = await openTeacher(model);
  const input = noise(sizeOf(model.graph.input.shape));
  return () => teacher.run(input, 1);
}

/** What is used of onnxruntime-common, which both packages speak. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(
      file: Uint8Array,
      options: object,
    ): Promise<{
      readonly inputNames: readonly string[];
      readonly inputMetadata: readonly { readonly shape: readonly (number | string)[] }[];
      run(feeds: object): Promise<unknown>;
    }>;
  };
}

async function openOnnxRuntime(name: string, provider: string, file: string): Promise<Infer> {
  const { env, Tensor, InferenceSession } = await loadPeer<OnnxRuntime>(name);
  env.wasm.numThreads = 1;
  const options = { executionProviders: [provider], intraOpNumThreads: 1, interOpNumThreads: 1 };
  const session = await InferenceSession.create(await readFile(file), options);
  const shape = session.inputMetadata[0].shape.map((length) => (typeof length === "number" ? length : 1));
  const feeds = { [session.inputNames[0]]: new Tensor("float32", noise(sizeOf(shape)), shape) };
  return () => session.run(feeds);
}

async function openLiteRt(file: string): Promise<Infer> {
  const { loadAndCompile, Tensor } = await loadLiteRt();
  const model = await loadAndCompile(await readFile(file), { accelerator: "wasm" });
  const [{ dtype, shape }] = model.getInputDetails();
  const values = noise(sizeOf([...shape]));
  const input = new Tensor(dtype === "int8" ? Int8Array.from(values, (x) => 40 * x) : values, [...shape]);
  return async () => {
    const [output] = await model.run(input);
    const answer = output.toTypedArray();
    output.delete();
    return answer;
  };
}

/** The same few numbers again and again: making many would count as the engine's start. */
function noise(length: number): Float32Array {
  const few = Float32Array.from({ length: Math.min(length, 499) }, gaussian(1));
  return new Float32Array(length).map((_, i) => few[i % few.length]);
}
