import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** @import { DeviceReport } from "../rows.ts" */

const HEIGHT = 200;

/** Agreement over time, with the thresholds and every calibration. @param {{ report: DeviceReport }} props */
export function DriftCurve({ report }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const newest = useRef(report);
  const plot = useRef(/** @type {uPlot | undefined} */ (undefined));
  newest.current = report;
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        optionsFor(element, () => newest.current),
        dataOf(newest.current),
        element,
      );
    };
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    draw();
    fit.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      fit.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(dataOf(report)), [report]);
  return html`<div class="curve" ref=${place} role="img" aria-label="agreement with the float model over time"></div>`;
}

/** @param {DeviceReport} report @returns {uPlot.AlignedData} */
function dataOf({ readings }) {
  return [readings.map(([ts]) => ts / 1000), readings.map(([, agreementPct]) => agreementPct)];
}

/** @param {HTMLElement} element @param {() => DeviceReport} report @returns {uPlot.Options} */
function optionsFor(element, report) {
  const [line, soft, grid, warn] = ["--accent", "--soft", "--line", "--warn"].map((name) => colourOf(element, name));
  const axis = { stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    padding: [10, 28, 0, 0],
    scales: { y: { range: (_plot, low) => [Math.max(0, Math.floor(Math.min(low, 88) / 5) * 5 - 2), 101] } },
    axes: [
      { ...axis, space: 80, values: [[1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]], size: 26 },
      { ...axis, size: 46, values: (_plot, values) => values.map((value) => `${value} %`) },
    ],
    series: [
      {},
      { stroke: line, width: 1.75, fill: line.replace(/^rgb\((.*)\)$/, "rgba($1, 0.08)"), points: { show: false } },
    ],
    hooks: { draw: [(plot) => drawMarks(plot, report(), { soft, warn, line })] },
  };
}

/** As the canvas takes it: a variable may still be a choice between light and dark. @param {HTMLElement} element @param {string} name */
function colourOf(element, name) {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

/** @param {uPlot} plot @param {DeviceReport} report @param {Record<"soft" | "warn" | "line", string>} colours */
function drawMarks(plot, { thresholds, calibrations }, colours) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  ctx.setLineDash([4, 4]);
  if (thresholds) {
    ctx.strokeStyle = colours.warn;
    stroke(ctx, bbox.left, plot.valToPos(thresholds.recalibrateBelowPct, "y", true), bbox.width, 0);
  }
  ctx.setLineDash([]);
  ctx.strokeStyle = ctx.fillStyle = colours.soft;
  for (const { ts } of calibrations) {
    const x = plot.valToPos(ts / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    stroke(ctx, x, bbox.top, 0, bbox.height);
    ctx.beginPath();
    ctx.arc(x, bbox.top, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
  }
  ctx.restore();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} width @param {number} height */
function stroke(ctx, x, y, width, height) {
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + width, y + height);
  ctx.stroke();
}
