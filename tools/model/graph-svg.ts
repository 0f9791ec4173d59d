import { shapeText } from "../../runtime/tensor/tensor.ts";
import { escaped } from "../cli/svg.ts";
import { bytes, thousands } from "../cli/table.ts";
import type { LayerReport, ModelReport } from "./inspect.ts";
import { type LaneRow, lanesOf } from "./lanes.ts";

const WIDTH = 860;
const ROW = 44;
const TOP = 64;
const LANE = 20;
const BAR = 150;
const COLUMNS = { name: 0, macs: 360, memory: 580 } as const;

const STYLE = `text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
.dim { fill: #656d76; font-size: 12px }
.title { font-size: 16px; font-weight: 600 }
.edge { fill: none; stroke: #8c959f; stroke-width: 2 }
.dot { fill: #0969da }
.macs { fill: #0969da }
.memory { fill: #8250df }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .dim { fill: #8d96a0 } .edge { stroke: #6e7681 } .page { fill: #0d1117 }
  .dot, .macs { fill: #4493f8 } .memory { fill: #ab7df8 }
}`;

/** The graph as a picture: a row per layer, a lane per value, bars for products and for the memory of its output. */
export function graphSvg(report: ModelReport): string {
  const { layers, model, params, macs, arenaBytes } = report;
  const rows = lanesOf(report.inputName, layers);
  const left = 28 + LANE * (1 + Math.max(...rows.map(({ lane, passing }) => Math.max(lane, ...passing))));
  const most = { macs: Math.max(1, ...layers.map((layer) => layer.macs)), bytes: report.memory.peak.bytes };
  const height = TOP + ROW * layers.length + 16;
  const facts = `${thousands(params)} parameters, ${thousands(macs)} MACs, ${bytes(arenaBytes)} of activations in 8 bits`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(model)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="16" y="26">${escaped(model)}</text>`,
    `<text class="dim" x="16" y="46">${shapeText(report.input)} -> ${shapeText(report.output)}: ${facts}</text>`,
    ...edges(report, rows),
    ...layers.map((layer, i) => row(layer, rows[i].lane, i, left, most)),
    "</svg>",
    "",
  ].join("\n");
}

const xOf = (lane: number): number => 24 + LANE * lane;
const yOf = (row: number): number => TOP + ROW * (row + 0.5);

/** Down the lane of the value that is read, and in the last row over to who reads it. */
function edges({ layers, inputName }: ModelReport, rows: readonly LaneRow[]): string[] {
  const at = new Map([[inputName, { lane: 0, row: -1 }]]);
  return layers.flatMap(({ name, inputs }, row) => {
    const { lane } = rows[row];
    const paths = inputs.flatMap((input) => {
      const from = at.get(input);
      if (!from) return [];
      const [x, y, toX, toY] = [xOf(from.lane), Math.max(yOf(from.row), TOP - 8), xOf(lane), yOf(row)];
      const over = x === toX ? "" : ` C ${x} ${toY} ${toX} ${toY - ROW / 2} ${toX} ${toY}`;
      return [`<path class="edge" d="M ${x} ${y} V ${x === toX ? toY : toY - ROW / 2}${over}"/>`];
    });
    at.set(name, { lane, row });
    return paths;
  });
}

function row(
  { name, op, shape, params, macs, bytes: size }: LayerReport,
  lane: number,
  at: number,
  left: number,
  most: { readonly macs: number; readonly bytes: number },
): string {
  const y = yOf(at);
  const detail = `${op} ${shapeText(shape)}${params > 0 ? `, ${thousands(params)} parameters` : ""}`;
  const bar = (kind: "macs" | "memory", value: number, of: number, label: string): string => {
    if (value === 0) return "";
    const [x, width] = [left + COLUMNS[kind], Math.max(1, (BAR * value) / of).toFixed(1)];
    return `<rect class="${kind}" x="${x}" y="${y + 2}" width="${width}" height="6" rx="1"/><text class="dim" x="${x}" y="${y - 4}">${label}</text>`;
  };
  return [
    `<circle class="dot" cx="${xOf(lane)}" cy="${y}" r="5"/>`,
    `<text x="${left}" y="${y - 3}">${escaped(name)}</text><text class="dim" x="${left}" y="${y + 13}">${detail}</text>`,
    bar("macs", macs, most.macs, `${thousands(macs)} MACs`),
    bar("memory", size, most.bytes, bytes(size)),
  ].join("");
}
