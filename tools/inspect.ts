import { basename } from "node:path";
import { type Graph, isLayer, macs, type Node } from "../runtime/model/graph.ts";
import { importModel } from "../runtime/model/import.ts";
import { planMemory } from "../runtime/plan/memory.ts";
import { lifetimesOf, storageOf } from "../runtime/plan/storage.ts";
import { shapeText, sizeOf } from "../runtime/tensor/tensor.ts";
import { readBytes } from "./inputs.ts";
import { bytes, table, thousands } from "./table.ts";

/** What `polaredge inspect --json` prints. */
export interface ModelReport {
  readonly model: string;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly layers: readonly LayerReport[];
  readonly params: number;
  readonly macs: number;
  /** Activations of one inference in 8 bits, planned by lifetimes. */
  readonly arenaBytes: number;
}

export interface LayerReport {
  readonly name: string;
  readonly op: string;
  readonly shape: readonly number[];
  readonly params: number;
  readonly macs: number;
  /** Of its output in 8 bits. */
  readonly bytes: number;
}

export async function inspect(path: string): Promise<ModelReport> {
  const { graph } = importModel(await readBytes(path), basename(path));
  const layers = graph.nodes.map(layerReport);
  const total = (of: "params" | "macs"): number => layers.reduce((sum, layer) => sum + layer[of], 0);
  return {
    model: graph.name,
    input: graph.input.shape,
    output: graph.nodes.find(({ name }) => name === graph.output)?.shape ?? graph.input.shape,
    layers,
    params: total("params"),
    macs: total("macs"),
    arenaBytes: arenaBytesOf(graph),
  };
}

export function inspectText(report: ModelReport): string {
  const columns = [
    { title: "layer" },
    { title: "op" },
    { title: "output" },
    { title: "params", align: "right" },
    { title: "MACs", align: "right" },
    { title: "memory", align: "right" },
  ] as const;
  const rows = report.layers.map(({ name, op, shape, params, macs, bytes: size }) => [
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
  ].join("\n");
}

function layerReport(node: Node): LayerReport {
  const { name, op, shape } = node;
  const weighted = isLayer(node);
  return {
    name,
    op,
    shape,
    params: weighted ? node.rows * node.columns + node.columns : 0,
    macs: weighted ? macs(node) : 0,
    bytes: op === "reshape" ? 0 : sizeOf(shape),
  };
}

function arenaBytesOf(graph: Graph): number {
  return planMemory(lifetimesOf(graph, storageOf(graph, new Set()))).bytes;
}
