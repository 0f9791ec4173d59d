import * as z from "zod/mini";
import { Failure } from "../base/failure.ts";
import { describeIssues } from "../base/schema.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { ServedModel } from "./servable.ts";
import { type Datatype, datatypeNamed, fromBinary, fromJson } from "./tensors.ts";

/** A request to infer, checked: one or more samples for the one input of a model. */
export interface InferRequest {
  readonly form: Form;
  readonly samples: readonly Float32Array[];
}

/** What the JSON of a request says, checked against the model. */
interface Form {
  readonly id: string | undefined;
  /** Samples. */
  readonly count: number;
  readonly datatype: Datatype;
  readonly data: readonly unknown[] | undefined;
  /** Of the input, where it follows the JSON. */
  readonly byteLength: number | undefined;
  /** The JSON of the answer, if its numbers are wanted as bytes. */
  readonly answer: Buffer | undefined;
}

/** The body of an answer; `headerLength` is set if numbers follow as bytes. */
export interface InferAnswer {
  readonly body: Buffer;
  readonly headerLength: number | undefined;
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

/** JSON that is kept, so that it is parsed once: programs send the same before each tensor. */
const KEPT_FORMS = 16;
const KEPT_FORM_BYTES = 1024;

/** Reads requests for one model, and writes what it answers. */
export class InferCodec {
  readonly model: ServedModel;
  /** By their text. */
  readonly #forms = new Map<string, Form>();
  readonly #inputSize: number;
  readonly #outputSize: number;

  constructor(model: ServedModel) {
    this.model = model;
    this.#inputSize = sizeOf(model.input.shape);
    this.#outputSize = sizeOf(model.output.shape);
  }

  /**
   * Reads the body of an infer request: JSON, and with the binary tensor extension `headerLength` bytes of JSON and
   * then the input's bytes.
   * @throws Failure serve/malformed: what was expected, what was found
   */
  read(bytes: Buffer, headerLength: number = bytes.length): InferRequest {
    if (headerLength > bytes.length) {
      throw new Failure("serve/malformed", `${headerLength} bytes of JSON announced, the body has ${bytes.length}`);
    }
    const size = this.#inputSize;
    const form = this.#formOf(bytes.subarray(0, headerLength));
    const { count, datatype, data, byteLength } = form;
    const values = data
      ? fromJson(data, count * size)
      : fromBinary(datatype, attached(bytes, headerLength, byteLength), count * size);
    return { form, samples: Array.from({ length: count }, (_, i) => values.subarray(i * size, (i + 1) * size)) };
  }

  write({ form: { id, answer } }: InferRequest, answers: readonly Float32Array[]): InferAnswer {
    if (!answer) {
      const data = answers.flatMap((numbers) => [...numbers]);
      return { body: this.#answerJson(id, answers.length, { data }), headerLength: undefined };
    }
    const bytes = answers.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));
    return { body: Buffer.concat([answer, ...bytes]), headerLength: answer.length };
  }

  #formOf(json: Buffer): Form {
    if (json.length > KEPT_FORM_BYTES) return this.#parseForm(json);
    const text = json.toString("latin1");
    const known = this.#forms.get(text);
    if (known) return known;
    const form = this.#parseForm(json);
    if (this.#forms.size >= KEPT_FORMS) this.#forms.clear();
    this.#forms.set(text, form);
    return form;
  }

  #parseForm(json: Buffer): Form {
    const { id, inputs, outputs, parameters } = parse(json);
    const [{ shape, datatype, data, parameters: own }] = inputs;
    const expected = this.model.input.shape;
    const count = sizeOf(shape) / this.#inputSize;
    if (!Number.isInteger(count) || shape.at(-1) !== expected.at(-1)) {
      const wanted = ["n", ...expected.slice(1)].join(", ");
      throw new Failure("serve/malformed", `inputs[0].shape: expected [${wanted}], got [${shape.join(", ")}]`);
    }
    const binary = outputs?.[0]?.parameters?.binary_data ?? parameters?.binary_data_output ?? false;
    return {
      id,
      count,
      datatype: datatypeNamed(datatype),
      data,
      byteLength: own?.binary_data_size,
      answer: binary ? this.#binaryAnswer(id, count) : undefined,
    };
  }

  #binaryAnswer(id: string | undefined, count: number): Buffer {
    const size = count * this.#outputSize * Float32Array.BYTES_PER_ELEMENT;
    return this.#answerJson(id, count, { parameters: { binary_data_size: size } });
  }

  #answerJson(id: string | undefined, count: number, content: object): Buffer {
    const { name, version, output } = this.model;
    const shape = [count, ...output.shape.slice(1)];
    const outputs = [{ name: output.name, datatype: "FP32", shape, ...content }];
    return Buffer.from(JSON.stringify({ model_name: name, model_version: version, id, outputs }));
  }
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

function attached(bytes: Buffer, from: number, size: number | undefined): Buffer {
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
