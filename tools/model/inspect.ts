import { basename } from "node:path";
import { entry } from "../../runtime/base/entry.ts";
import { type Graph, isLayer, macs, type Node } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { PolarizedModel } from "../../runtime/model/stages.ts";
import { planMemory } from "../../runtime/plan/memory.ts";
import { peakOf } from "../../runtime/plan/peak.ts";
import type { Placement } from "../../runtime/plan/plan.ts";
import { lifetimesOf, storageOf } from "../../runtime/plan/storage.ts";
import { weightBytesOf } from "../../runtime/plan/weight-bytes.ts";
import { decodeModel, isPrepared } from "../../runtime/quantize/file.ts";
import { shapeText, sizeOf } from "../../runtime/tensor/tensor.ts";
import { bytes, table, thousands } from "../cli/table.ts";
import { readBytes } from "./inputs.ts";
import { lanesOf, laneText } from "./lanes.ts";
import { type LayerPrecision, layersOf, precisionOf, precisionTable } from "./precision.ts";

/** What `polaredge inspect --json` prints. */
export interface ModelReport {
  readonly model: string;
  readonly inputName: string;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly layers: readonly LayerReport[];
  readonly params: number;
  readonly macs: number;
  /** Activations of one inference in 8 bits, planned by lifetimes. */
  readonly arenaBytes: number;
  readonly memory: MemoryReport;
  /** How a prepared model keeps its weights; null for a float model. */
  readonly precision: PrecisionReport | null;
}

export interface PrecisionReport extends ReturnType<typeof precisionOf> {
  readonly layers: readonly LayerPrecision[];
  readonly weightBytes: number;
  /** The chip that its accelerator corrections are for. */
  readonly accelerator: string | null;
}

/** Where every value lives, and when: time 0 is the input's arrival, node i of `layers` runs at i + 1, then the output. */
export interface MemoryReport {
  readonly buffers: readonly Placement[];
  readonly peak: { readonly at: number; readonly node: string; readonly bytes: number };
}

export interface LayerReport {
  readonly name: string;
  readonly op: string;
  /** Names of layers, or of the model's input. */
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
  readonly params: number;
  readonly macs: number;
  /** Of its output in 8 bits. */
  readonly bytes: number;
}

export async function inspect(path: string): Promise<ModelReport> {
  const file = await readBytes(path);
  const prepared = isPrepared(file) ? decodeModel(file) : undefined;
  const { graph } = prepared ?? importModel(file, basename(path));
  const layers = graph.nodes.map(layerReport);
  const total = (of: "params" | "macs"): number => layers.reduce((sum, layer) => sum + layer[of], 0);
  return {
    model: graph.name,
    inputName: graph.input.name,
    input: graph.input.shape,
    output: graph.nodes.find(({ name }) => name === graph.output)?.shape ?? graph.input.shape,
    layers,
    params: total("params"),
    macs: total("macs"),
    ...placed(graph),
    precision: prepared ? precisionReport(prepared) : null,
  };
}

function precisionReport(model: PolarizedModel): PrecisionReport {
  return {
    ...precisionOf(model),
    layers: layersOf(model),
    weightBytes: weightBytesOf(model),
    accelerator: model.accelerator?.uid ?? null,
  };
}

export function inspectText(report: ModelReport): string {
  const columns = [
    { title: "graph" },
    { title: "layer" },
    { title: "op" },
    { title: "output" },
    { title: "params", align: "right" },
    { title: "MACs", align: "right" },
    { title: "memory", align: "right" },
  ] as const;
  const lanes = lanesOf(report.inputName, report.layers);
  const rows = report.layers.map(({ name, op, shape, params, macs, bytes: size }, i) => [
    laneText(lanes[i]),
    name,
    op,
    shapeText(shape),
    params ? thousands(params) : "",
    macs ? thousands(macs) : "",
    size ? bytes(size) : "",
  ]);
  return [
    `${report.model}: ${shapeText(report.input)} -> ${shapeText(report.output)}`,
    "",
    table(columns, rows),
    "",
    `${thousands(report.params)} parameters, ${thousands(report.macs)} MACs, activations in 8 bits ${bytes(report.arenaBytes)}`,
    "",
    ...(report.precision ? [precisionText(report.precision), ""] : []),
    memoryText(report),
  ].join("\n");
}

function precisionText({ layers, bitsPerWeight, weightBytes, surrogate, accelerator }: PrecisionReport): string {
  const chip = accelerator === null ? "" : `, corrected for the accelerator ${accelerator}`;
  return (
    `${precisionTable(layers)}\n\nweights ${bytes(weightBytes)}, ${bitsPerWeight.toFixed(2)} bits each, scales included; ` +
    `surrogates +${surrogate.extraParamsPct.toFixed(1)} % parameters${chip}`
  );
}

/** A line per buffer: where it is, and a mark for each time at which it is alive. */
function memoryText({ memory: { buffers, peak }, layers }: ModelReport): string {
  const times = Array.from({ length: layers.length + 2 }, (_, at) => at);
  const columns = [
    { title: "buffer" },
    { title: "bytes", align: "right" },
    { title: "offset", align: "right" },
    { title: "alive, from the input to the output" },
  ] as const;
  const rows = buffers.map(({ name, bytes: size, offset, first, last }) => [
    name,
    thousands(size),
    thousands(offset),
    times.map((at) => (at >= first && at <= last ? "█" : at === peak.at ? "┊" : "·")).join(""),
  ]);
  return `${table(columns, rows)}\n\npeak ${bytes(peak.bytes)} at ${peak.node}`;
}

function layerReport(node: Node): LayerReport {
  const { name, op, inputs, shape } = node;
  const weighted = isLayer(node);
  return {
    name,
    op,
    inputs,
    shape,
    params: weighted ? node.rows * node.columns + node.columns : 0,
    macs: weighted ? macs(node) : 0,
    bytes: op === "reshape" ? 0 : sizeOf(shape),
  };
}

function placed(graph: Graph): Pick<ModelReport, "arenaBytes" | "memory"> {
  const lifetimes = lifetimesOf(graph, storageOf(graph, new Set()));
  const layout = planMemory(lifetimes);
  const buffers = lifetimes.map((life) => ({ ...life, offset: entry(layout.offsets, life.name) }));
  const { at, node, bytes: size } = peakOf(graph, lifetimes);
  return { arenaBytes: layout.bytes, memory: { buffers, peak: { at, node, bytes: size } } };
}
