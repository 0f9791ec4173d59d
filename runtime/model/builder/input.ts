import { Failure } from "../../base/failure.ts";
import { type Shape, shapeText } from "../../tensor/tensor.ts";

/** A model input as a file declares it. */
export interface DeclaredInput {
  readonly name: string;
  readonly type: string;
  /** -1 or 0 where the file leaves a length open; `undefined` if the rank is open too. */
  readonly shape: Shape | undefined;
}

/** The one input of a model, as floats of a fixed shape with a batch of 1. */
export function onlyInput(
  inputs: readonly DeclaredInput[],
  outputs: readonly string[],
  floatType: string,
): DeclaredInput & { shape: Shape } {
  if (inputs.length !== 1 || outputs.length !== 1) {
    const names = inputs.map(({ name }) => name).join(", ");
    throw new Failure(
      "import/unsupported-shape",
      `expected one input and one output, found inputs: ${names}; outputs: ${outputs.join(", ")}`,
    );
  }
  const [{ name, type, shape }] = inputs;
  if (type !== floatType) {
    throw new Failure(
      "import/unsupported-type",
      `input ${name} is ${type}; supported: ${floatType}. Import the float model`,
    );
  }
  if (!shape || shape.length === 0) {
    throw new Failure("import/dynamic-shape", `input ${name} has no shape; export the model with one`);
  }
  return { name, type, shape: withBatchOfOne(name, shape) };
}

/** A single axis is a vector without a batch. */
function withBatchOfOne(name: string, shape: Shape): Shape {
  const [batch, ...rest] = shape;
  const fixed = shape.length > 1 ? [batch <= 0 ? 1 : batch, ...rest] : shape;
  if (fixed.some((length) => length <= 0)) {
    throw new Failure(
      "import/dynamic-shape",
      `input ${name} has shape ${shapeText(shape)}; only the batch (axis 0) may be open. Export it with a fixed shape`,
    );
  }
  if (fixed.length === 1 || fixed[0] === 1) return fixed;
  throw new Failure("import/unsupported-shape", `input ${name} has a batch of ${batch}; export it with a batch of 1`);
}
