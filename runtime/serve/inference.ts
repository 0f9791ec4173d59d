import * as z from "zod/mini";
import { Failure } from "../base/failure.ts";
import { describeIssues } from "../base/schema.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { ServedModel } from "./servable.ts";
import { fromBinary, fromJson } from "./tensors.ts";

/** A request to infer, checked: one or more samples for the one input of a model. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly samples: readonly Float32Array[];
  /** Whether the answer's numbers are wanted as bytes. */
  readonly binary: boolean;
}

interface Body {
  readonly id?: string | undefined;
  readonly parameters?: { readonly binary_data_output?: boolean | undefined } | undefined;
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly datatype: string;
    readonly data?: readonly unknown[] | undefined;
    readonly parameters?: { readonly binary_data_size?: number | undefined } | undefined;
  }[];
  readonly outputs?:
    | readonly {
        readonly name: string;
        readonly parameters?: { readonly binary_data?: boolean | undefined } | undefined;
      }[]
    | undefined;
}

const text = z.string().check(z.maxLength(256));
const body: z.ZodMiniType<Body> = z.object({
  id: z.optional(text),
  parameters: z.optional(z.object({ binary_data_output: z.optional(z.boolean()) })),
  inputs: z
    .array(
      z.object({
        name: text,
        shape: z.array(z.int().check(z.positive())).check(z.minLength(1), z.maxLength(8)),
        datatype: text,
        data: z.optional(z.array(z.unknown())),
        parameters: z.optional(z.object({ binary_data_size: z.optional(z.int().check(z.minimum(0))) })),
      }),
    )
    .check(z.length(1)),
  outputs: z.optional(
    z.array(z.object({ name: text, parameters: z.optional(z.object({ binary_data: z.optional(z.boolean()) })) })),
  ),
});

/**
 * Reads the body of an infer request: JSON, and with the binary tensor extension `headerLength` bytes of JSON and then
 * the input's bytes.
 * @throws Failure serve/malformed: what was expected, what was found
 */
export function readInfer(bytes: Uint8Array, headerLength: number | undefined, model: ServedModel): InferRequest {
  const header = bytes.subarray(0, headerLength ?? bytes.length);
  const request = parse(header);
  const [input] = request.inputs;
  const size = sizeOf(model.input.shape);
  const count = sizeOf(input.shape) / size;
  if (!Number.isInteger(count) || input.shape.at(-1) !== model.input.shape.at(-1)) {
    const expected = ["n", ...model.input.shape.slice(1)].join(", ");
    throw new Failure("serve/malformed", `inputs[0].shape: expected [${expected}], got [${input.shape.join(", ")}]`);
  }
  const values = input.data
    ? fromJson(input.datatype, input.data, count * size)
    : fromBinary(input.datatype, attached(bytes, header.length, input.parameters?.binary_data_size), count * size);
  return {
    id: request.id,
    samples: Array.from({ length: count }, (_, i) => values.subarray(i * size, (i + 1) * size)),
    binary: request.outputs?.[0]?.parameters?.binary_data ?? request.parameters?.binary_data_output ?? false,
  };
}

/** The body of an answer; `headerLength` is set if numbers follow as bytes. */
export function writeInfer(
  { id, binary }: InferRequest,
  answers: readonly Float32Array[],
  { name, version, output }: ServedModel,
): { readonly body: Buffer; readonly headerLength: number | undefined } {
  const bytes = Buffer.concat(
    answers.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
  const shape = [answers.length, ...output.shape.slice(1)];
  const content = binary
    ? { parameters: { binary_data_size: bytes.length } }
    : { data: answers.flatMap((answer) => [...answer]) };
  const outputs = [{ name: output.name, datatype: "FP32", shape, ...content }];
  const header = Buffer.from(JSON.stringify({ model_name: name, model_version: version, id, outputs }));
  return binary
    ? { body: Buffer.concat([header, bytes]), headerLength: header.length }
    : { body: header, headerLength: undefined };
}

function parse(header: Uint8Array): Body {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  } catch (error) {
    throw new Failure("serve/malformed", "the body is no JSON", {}, error);
  }
  const parsed = body.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Failure("serve/malformed", describeIssues("body", json, parsed.error.issues));
}

function attached(bytes: Uint8Array, from: number, size: number | undefined): Uint8Array {
  if (size === undefined) {
    throw new Failure("serve/malformed", "inputs[0]: expected data or parameters.binary_data_size, got neither");
  }
  if (from + size !== bytes.length) {
    throw new Failure(
      "serve/malformed",
      `${size} bytes of binary data announced, ${bytes.length - from} follow the JSON`,
    );
  }
  return bytes.subarray(from, from + size);
}
