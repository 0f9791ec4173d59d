import { html } from "htm/preact";
import { Bar, Empty, Panel } from "./parts.js";

/** @import { DeviceReport } from "../rows.ts" */
/** @typedef {DeviceReport["layers"][number]} Layer */

const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;

/** What every layer takes and how far it is from the float model. @param {{ report: DeviceReport }} props */
export function Layers({ report: { layers, layersAreOld } }) {
  const note = layersAreOld ? "of a model before this one" : "measured when the model was prepared";
  if (layers.length === 0) {
    return html`<${Panel} title="Layers"><${Empty}>Not known: the device tells it when it next prepares a model.<//><//>`;
  }
  const most = Math.max(...layers.map(({ error }) => error), 0.01);
  return html`<${Panel} title="Layers" note=${note}>
    <div class="scroll"><table class="layers">
      <thead><tr><th>layer</th><th class="n">bits</th><th class="wide-only"></th><th class="n">rank</th>
        <th class="n">error</th><th></th></tr></thead>
      <tbody>${layers.map((layer) => html`<${LayerLine} layer=${layer} most=${most} />`)}</tbody>
    </table></div>
  <//>`;
}

/** @param {{ layer: Layer, most: number }} props */
function LayerLine({ layer: { name, op, format, bits, rank, unit, error }, most }) {
  return html`<tr>
    <th scope="row"><span class="layer" title=${name}>${name}</span><small>${format} ${op}${unit === "accelerator" ? ", on tiles" : ""}</small></th>
    <td class="n">${bits.toFixed(1)}</td>
    <td class="bars wide-only"><${Bar} share=${bits / 12} /></td>
    <td class="n">${rank === 0 ? "–" : rank}</td>
    <td class="n">${percent(error)}</td>
    <td class="bars"><${Bar} share=${error / most} tone="strong" /></td>
  </tr>`;
}

const STEPS = 6;

/** Raw error of every column on the tiles, before correction. @param {{ report: DeviceReport }} props */
export function Tiles({ report: { layers, info } }) {
  const placed = layers.filter(({ columns }) => columns && columns.length > 0);
  if (placed.length === 0) {
    return html`<${Panel} title="Tiles"><${Empty}>${
      info?.accelerator ? "No layer is on the tiles." : "This device has no accelerator."
    }<//><//>`;
  }
  const all = placed.flatMap(({ columns }) => columns ?? []);
  const most = Math.max(...all, 0.001);
  const rms = Math.sqrt(all.reduce((sum, error) => sum + error ** 2, 0) / all.length);
  const note = `${percent(rms)} before correction, ${percent(most)} the worst`;
  return html`<${Panel} title="Tiles: error by column" note=${note}>
    <div class="tiles">${placed.map((layer) => html`<${Heat} layer=${layer} most=${most} />`)}</div>
    <p class="scale"><span>0 %</span>${Array.from({ length: STEPS }, (_, i) => html`<i class="heat-${i}"></i>`)}
      <span>${percent(most)}</span></p>
  <//>`;
}

/** @param {{ layer: Layer, most: number }} props */
function Heat({ layer: { name, columns = [] }, most }) {
  const step = (/** @type {number} */ error) => Math.min(STEPS - 1, Math.floor((STEPS * error) / most));
  return html`<div class="heat-row">
    <span class="layer" title=${name}>${name}</span>
    <span class="cells" role="img" aria-label="${name}: ${columns.length} columns, worst ${percent(Math.max(...columns))}">
      ${columns.map((error, i) => html`<i class="heat-${step(error)}" title="column ${i}: ${percent(error)}"></i>`)}
    </span>
  </div>`;
}
