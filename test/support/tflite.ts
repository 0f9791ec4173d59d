import { Builder } from "flatbuffers";

/** Just enough of a TFLite writer to make small models of any operator, and broken ones. */
export interface TfliteTensorSpec {
  readonly shape: readonly number[];
  /** f32, or int32 if it is a plain list; bytes are taken as they are. */
  readonly values?: Float32Array | Uint8Array | readonly number[];
  /** TensorType, if it shall be another one than the values say. */
  readonly type?: number;
  readonly signature?: readonly number[];
  readonly variable?: boolean;
}

/** Option fields by their index in schema.fbs. */
export type TfliteOption =
  | { readonly u8: number }
  | { readonly i32: number }
  | { readonly f32: number }
  | { readonly i32s: readonly number[] };
export type TfliteOptions = Readonly<Record<number, TfliteOption>>;

export interface TfliteOperatorSpec {
  /** BuiltinOperator. */
  readonly code: number;
  /** Empty: left out. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly options?: TfliteOptions;
}

export interface TfliteSpec {
  readonly version?: number;
  readonly tensors: Readonly<Record<string, TfliteTensorSpec>>;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly operators: readonly TfliteOperatorSpec[];
}

/** TensorType. */
const FLOAT32 = 0;
const INT32 = 2;

export function tfliteModel(spec: TfliteSpec): Uint8Array {
  const { version = 3, tensors, inputs = ["x"], outputs = ["y"], operators } = spec;
  const to = new Builder(1024);
  const names = Object.keys(tensors);
  const index = (name: string): number => (name === "" ? -1 : names.indexOf(name));
  const codes = [...new Set(operators.map(({ code }) => code))];
  const buffers = Object.values(tensors).map(({ values }) => writeBuffer(to, values));
  const tables = Object.entries(tensors).map(([name, tensor], i) => writeTensor(to, name, tensor, i));
  const nodes = operators.map((operator) => writeOperator(to, operator, codes, index));
  const graph = table(to, {
    0: { at: vectorOf(to, tables) },
    1: { at: ints(to, inputs.map(index)) },
    2: { at: ints(to, outputs.map(index)) },
    3: { at: vectorOf(to, nodes) },
  });
  const codeTables = codes.map((code) => table(to, { 0: { u8: Math.min(code, 127) }, 3: { i32: code } }));
  const model = table(to, {
    0: { i32: version },
    1: { at: vectorOf(to, codeTables) },
    2: { at: vectorOf(to, [graph]) },
    4: { at: vectorOf(to, buffers) },
  });
  to.finish(model, "TFL3");
  return to.asUint8Array().slice();
}

type Field = TfliteOption | { readonly at: number };

/** Vectors have to be written before their table. */
function table(to: Builder, fields: Readonly<Record<number, Field>>): number {
  const ready = Object.entries(fields).map(
    ([field, value]) => [Number(field), "i32s" in value ? { at: ints(to, value.i32s) } : value] as const,
  );
  to.startObject(8);
  for (const [field, value] of ready) {
    if ("at" in value) to.addFieldOffset(field, value.at, 0);
    else if ("u8" in value) to.addFieldInt8(field, value.u8, 0);
    else if ("i32" in value) to.addFieldInt32(field, value.i32, 0);
    else to.addFieldFloat32(field, value.f32, 0);
  }
  return to.endObject();
}

function ints(to: Builder, values: readonly number[]): number {
  to.startVector(4, values.length, 4);
  for (const value of values.toReversed()) to.addInt32(value);
  return to.endVector();
}

function vectorOf(to: Builder, offsets: readonly number[]): number {
  to.startVector(4, offsets.length, 4);
  for (const offset of offsets.toReversed()) to.addOffset(offset);
  return to.endVector();
}

function writeBuffer(to: Builder, values: TfliteTensorSpec["values"]): number {
  if (!values) return table(to, {});
  const raw = values instanceof Float32Array || values instanceof Uint8Array ? values : Int32Array.from(values);
  const data = to.createByteVector(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength));
  return table(to, { 0: { at: data } });
}

function writeTensor(to: Builder, name: string, spec: TfliteTensorSpec, buffer: number): number {
  const { shape, values, signature, variable } = spec;
  const type = spec.type ?? (values && !(values instanceof Float32Array) ? INT32 : FLOAT32);
  const text = to.createString(name);
  const kept = variable ? { 5: { u8: 1 } } : {};
  const fields = { 0: { i32s: shape }, 1: { u8: type }, 2: { i32: buffer }, 3: { at: text }, ...kept };
  return table(to, signature ? { ...fields, 7: { i32s: signature } } : fields);
}

function writeOperator(
  to: Builder,
  { code, inputs, output, options }: TfliteOperatorSpec,
  codes: readonly number[],
  index: (name: string) => number,
): number {
  const fields = {
    0: { i32: codes.indexOf(code) },
    1: { i32s: inputs.map(index) },
    2: { i32s: [index(output)] },
  };
  return table(to, options ? { ...fields, 4: { at: table(to, options) } } : fields);
}
