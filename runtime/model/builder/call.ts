import { Failure } from "../../base/failure.ts";
import type { Shape } from "../../tensor/tensor.ts";
import type { Operand } from "./arithmetic.ts";
import type { Builder } from "./builder.ts";
import type { Constant } from "./constant.ts";
import { shapeOfView, type View } from "./view.ts";

/** An operator of the file. Tensors are known by name; an input that is left out is `undefined`. */
export interface SourceNode {
  readonly name: string;
  readonly operator: string;
  readonly inputs: readonly (string | undefined)[];
  readonly outputs: readonly string[];
}

/** One row of an operator table: adds what the node does and returns its output, or as many of its outputs as there are. */
export type Operator<N extends SourceNode> = (call: Call<N>) => Operand | readonly Operand[];

/** A node on its way into the graph. */
export class Call<N extends SourceNode> {
  readonly build: Builder;
  readonly node: N;
  readonly operands: readonly (Operand | undefined)[];

  constructor(build: Builder, node: N, operands: readonly (Operand | undefined)[]) {
    this.build = build;
    this.node = node;
    this.operands = operands;
  }

  get name(): string {
    return this.node.name;
  }

  /** Input `i`, whatever it is. */
  operand(i: number): Operand {
    const operand = this.operands[i];
    if (operand) return operand;
    throw new Failure("import/malformed", `input ${i} is missing; found ${this.operands.length} inputs`);
  }

  /** Input `i`, which has to depend on the model's input. */
  view(i: number): View {
    const operand = this.operand(i);
    if (operand.kind === "view") return operand;
    throw new Failure("import/unsupported-operator", `input ${i} is a constant; only a computed value is supported`);
  }

  /** Input `i`, which has to be known now. */
  constant(i: number): Constant {
    const operand = this.operand(i);
    if (operand.kind === "constant") return operand;
    throw new Failure(
      "import/unsupported-operator",
      `input ${i} is computed by the model; only a constant is supported`,
    );
  }

  optional(i: number): Constant | undefined {
    return this.operands[i] && this.constant(i);
  }

  views(): readonly View[] {
    return this.operands.map((_, i) => this.view(i));
  }

  /** An axis counted from the front; negative ones count from the end. */
  axis(axis: number, rank: number): number {
    const counted = axis < 0 ? axis + rank : axis;
    if (Number.isInteger(counted) && counted >= 0 && counted < rank) return counted;
    throw new Failure("import/malformed", `axis ${axis} of a value with ${rank} axes`);
  }

  shape(i: number): Shape {
    return shapeOfView(this.view(i));
  }
}

/** A row of a table whose keys come from the file, where a name like "constructor" must not find anything. */
export function rowOf<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
