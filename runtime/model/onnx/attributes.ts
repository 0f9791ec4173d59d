import { Failure } from "../../base/failure.ts";
import type { Constant } from "../builder/constant.ts";
import type { Message } from "./message.ts";

/** Field numbers of AttributeProto. */
const ATTRIBUTE = { name: 1, float: 2, integer: 3, text: 4, tensor: 5, floats: 7, integers: 8, texts: 9 } as const;

/** Say nothing about inference. */
const idle = new Set([
  "momentum",
  "ratio",
  "seed",
  "is_test",
  "saturate",
  "storage_order",
  "spatial",
  "consumed_inputs",
]);

/** A node's attributes. Remembers what was read, so that an attribute nobody understands is an error, not a surprise. */
export class Attributes {
  readonly #attributes: ReadonlyMap<string, Message>;
  readonly #tensorOf: (tensor: Message, name: string) => Constant;
  readonly #read = new Set<string>();

  constructor(attributes: readonly Message[], tensorOf: (tensor: Message, name: string) => Constant) {
    this.#attributes = new Map(attributes.map((attribute) => [attribute.text(ATTRIBUTE.name), attribute]));
    this.#tensorOf = tensorOf;
  }

  integer(name: string, otherwise: number): number {
    return this.#get(name)?.integer(ATTRIBUTE.integer) ?? otherwise;
  }

  integers(name: string): number[] | undefined {
    return this.#get(name)?.integers(ATTRIBUTE.integers);
  }

  float(name: string, otherwise: number): number {
    const value = this.#get(name)?.float(ATTRIBUTE.float) ?? otherwise;
    if (!Number.isNaN(value)) return value;
    throw new Failure("import/malformed", `attribute ${name} is NaN`);
  }

  floats(name: string): Float32Array | undefined {
    return this.#get(name)?.floats(ATTRIBUTE.floats);
  }

  texts(name: string): string[] | undefined {
    return this.#get(name)?.texts(ATTRIBUTE.texts);
  }

  text(name: string, otherwise: string): string {
    return this.#get(name)?.text(ATTRIBUTE.text) ?? otherwise;
  }

  tensor(name: string): Constant | undefined {
    const tensor = this.#get(name)?.message(ATTRIBUTE.tensor);
    return tensor && this.#tensorOf(tensor, `attribute ${name}`);
  }

  /** Only these values are supported; any other is an error. */
  only(name: string, ...values: readonly [number, ...number[]]): number {
    const value = this.integer(name, values[0]);
    if (values.includes(value)) return value;
    throw new Failure("import/unsupported-attribute", `attribute ${name} = ${value}; supported: ${values.join(", ")}`);
  }

  checkAllRead(): void {
    const unknown = [...this.#attributes.keys()].filter((name) => !this.#read.has(name) && !idle.has(name));
    if (unknown.length === 0) return;
    throw new Failure("import/unsupported-attribute", `attribute ${unknown.join(", ")} isn't supported here`);
  }

  #get(name: string): Message | undefined {
    this.#read.add(name);
    return this.#attributes.get(name);
  }
}
