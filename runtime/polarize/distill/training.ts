import { entry } from "../../base/entry.ts";
import { registerGradients } from "../../kernels/float/gradients.ts";
import { loadTfjs, type Tensor, type Tf } from "../../kernels/float/tfjs.ts";
import { openTeacher } from "../../kernels/float.ts";
import { shapeOf } from "../../model/graph.ts";
import type { FloatModel, PolarizedModel } from "../../model/stages.ts";
import { dequantizeMatrix } from "../../quantize/format.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { logitsOf } from "../divergence.ts";
import { adam, type Descent } from "./adam.ts";
import { type Goal, lossOf } from "./loss.ts";
import { type Parameter, type Part, parametersOf, withParameters } from "./parameters.ts";
import { type Student, studentOf } from "./student.ts";
import { variationsOf } from "./variations.ts";

/** What is trained, how far, and towards what besides the answers. */
export interface Course {
  readonly steps: number;
  /** By what share of their unit numbers change in a step, at most. */
  readonly rate: number;
  readonly parts: readonly Part[];
  /** As in Goal. */
  readonly weights: Goal["weights"];
}

/** What is learnt from: the float model and its values on samples. */
export interface Material {
  readonly float: FloatModel;
  readonly observed: ReadonlyMap<string, Float32Array>;
}

/** What has become of the model after so many steps. */
export interface Stop {
  readonly steps: number;
  model(): PolarizedModel;
}

/** Inputs of one step; fewer where values are large. */
const BATCH = 8;
/** Of all values of a batch, so that memory stays bounded: 8 MB, of which training keeps several copies. */
const BATCH_FLOATS = 2 ** 21;
/** Steps in which the rate rises to its full height, so that Adam knows the gradients first. */
const WARM_UP = 10;
/** Of the moving average of the numbers, which is what is judged, that a step leaves. */
const KEPT = 0.95;
/** Steps between two stops. */
const BETWEEN_STOPS = 15;
const SEED = 1;

/**
 * Distillation: Adam on the digital corrections of a model whose codes stay as they are, towards the float model's
 * answers to variations of the samples. At each stop the model has the averages of the last steps' numbers.
 * @param onStep called before each step
 */
export async function* training(
  start: PolarizedModel,
  material: Material,
  course: Course,
  onStep: OnStep = () => undefined,
): AsyncGenerator<Stop> {
  const tf = await loadTfjs();
  registerGradients(tf);
  const { graph } = start;
  const parameters = parametersOf(start);
  const goal = { graph, powers: powersOf(material), weights: course.weights };
  const descents = parameters.map((parameter) => adam(parameter.values, unitOf(parameter, start, goal)));
  const watched = [...new Set([logitsOf(graph), ...course.weights.keys()])];
  const variations = variationsOf(entry(material.observed, graph.input.name), graph.input.shape, SEED);
  const size = batchOf(material.float);
  const teacher = await openTeacher(material.float);
  const student = studentOf(tf, start);
  try {
    const learner = learnerOf(tf, student, goal, parameters, course.parts, descents);
    for (let step = 0; step < course.steps; step++) {
      onStep(step, course.steps);
      const inputs = variations(size);
      const { taps } = await teacher.run(inputs, size, watched);
      learner.learn(inputs, taps, rateAt(step, course));
      const steps = step + 1;
      if (steps % BETWEEN_STOPS !== 0 && steps < course.steps) continue;
      yield { steps, model: () => withParameters(start, parameters, learner.average) };
    }
  } finally {
    student.close();
    teacher.close();
  }
}

export type OnStep = (step: number, of: number) => void;

/** Half a cosine down to nothing, after a rise. */
function rateAt(step: number, { steps, rate }: Course): number {
  return Math.min(1, (step + 1) / WARM_UP) * rate * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps));
}

interface Learner {
  /** Moving averages of the numbers of all parameters. */
  readonly average: readonly Float64Array[];
  learn(inputs: Float32Array, truth: ReadonlyMap<string, Float32Array>, rate: number): void;
}

function learnerOf(
  tf: Tf,
  student: Student,
  goal: Goal,
  parameters: readonly Parameter[],
  trained: readonly Part[],
  descents: readonly Descent[],
): Learner {
  const average = parameters.map(({ values }) => Float64Array.from(values));
  const { shape } = goal.graph.input;
  return {
    average,
    learn(inputs, truth, rate) {
      const gradients = tf.tidy(() => {
        const given = tf.tensor(inputs, [inputs.length / sizeOf(shape), ...shape]);
        const loss = (...values: Tensor[]): Tensor => lossOf(tf, goal, truth, student.run(given, values));
        const slopes = tf.grads(loss as Parameters<Tf["grads"]>[0]);
        return slopes(parameters.map(({ values, shape }) => tf.tensor(values, shape))).map((g) => g.dataSync());
      });
      for (const [i, { part, values }] of parameters.entries()) {
        if (trained.includes(part)) descents[i](gradients[i], rate);
        for (const [j, value] of values.entries()) average[i][j] = KEPT * average[i][j] + (1 - KEPT) * value;
      }
    },
  };
}

/**
 * How large a change of a parameter's numbers is: relative to themselves (biases: to the layer's answers), and to what
 * the layer's correction leaves to be gained; so that training disturbs the less, the better its start is.
 */
function unitOf({ layer, part, values }: Parameter, { layers }: PolarizedModel, { powers }: Goal): number {
  const { matrix, digital, error = 1 } = entry(layers, layer);
  if (part === "bias") return error * Math.sqrt(entry(powers, layer));
  const size = Math.sqrt(meanSquare(values));
  if (size > 0 || !digital.surrogate) return error * size;
  // A second factor that is empty yet: as if the path were as large as what it stands beside.
  const { a, rank } = digital.surrogate;
  return error * Math.sqrt(meanSquare(dequantizeMatrix(matrix)) / (meanSquare(a) * rank));
}

function powersOf({ observed }: Material): Map<string, number> {
  return new Map([...observed].map(([name, values]) => [name, meanSquare(values)]));
}

function meanSquare(values: Float32Array): number {
  return values.reduce((sum, x) => sum + x * x, 0) / values.length;
}

function batchOf({ graph }: FloatModel): number {
  const floats = graph.nodes.reduce((sum, { name }) => sum + sizeOf(shapeOf(graph, name)), 0);
  return Math.max(1, Math.min(BATCH, Math.floor(BATCH_FLOATS / floats)));
}
