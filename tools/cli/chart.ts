import { colour, escaped, page, text, tidy } from "./svg.ts";

/** A line chart as SVG text. */
export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface Axis {
  readonly title: string;
  /** How a number is written at its tick; as it is by default. */
  readonly text?: (value: number) => string;
  /** Where the ticks are; round numbers by default. The axis ends at the outermost of ticks and points. */
  readonly ticks?: readonly number[];
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 760;
const HEIGHT = 440;
const FRAME = { left: 72, top: 100, right: 24, bottom: 58 };
const TICKS = 6;

/** Dashes and marks tell lines apart without colour. */
const STYLE = "\n  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }";
const DASHES = ["", "7 4", "2 4", "10 3 2 3"] as const;

export function lineChart(chart: Chart): string {
  const { title, series } = chart;
  const [x, y] = [scaleOf(chart.x, series, 0), scaleOf(chart.y, series, 1)];
  const across = (value: number): number => FRAME.left + x.share(value) * (WIDTH - FRAME.left - FRAME.right);
  const up = (value: number): number => HEIGHT - FRAME.bottom - y.share(value) * (HEIGHT - FRAME.top - FRAME.bottom);
  const place: Place = ([a, b]) => [across(a), up(b)];
  const parts = [
    ...y.ticks.flatMap((value) => [
      `<path class="grid" d="M${FRAME.left} ${tidy(up(value))}H${WIDTH - FRAME.right}"/>`,
      text(FRAME.left - 10, up(value) + 4, "end", y.text(value), "tick"),
    ]),
    ...x.ticks.map((value) => text(across(value), HEIGHT - FRAME.bottom + 22, "middle", x.text(value), "tick")),
    text((FRAME.left + WIDTH - FRAME.right) / 2, HEIGHT - 14, "middle", chart.x.title, "axis"),
    text(FRAME.left, FRAME.top - 14, "start", chart.y.title, "axis"),
    ...legend(series),
    ...series.map((one, i) => line(one, i, place)),
  ];
  return page({ title, left: FRAME.left, width: WIDTH, height: HEIGHT, style: STYLE }, parts);
}

type Place = (point: readonly [number, number]) => readonly [number, number];

interface Scale {
  readonly ticks: readonly number[];
  readonly text: (value: number) => string;
  /** 0 at the axis' low end, 1 at its high one. */
  readonly share: (value: number) => number;
}

function scaleOf(axis: Axis, series: readonly Series[], which: 0 | 1): Scale {
  const values = series.flatMap(({ points }) => points.map((point) => point[which]));
  const ticks = axis.ticks ?? roundNumbers(Math.min(...values), Math.max(...values));
  const [low, high] = [Math.min(...values, ...ticks), Math.max(...values, ...ticks)];
  return {
    ticks,
    text: axis.text ?? ((value) => String(Number(value.toPrecision(6)))),
    share: (value) => (high === low ? 0.5 : (value - low) / (high - low)),
  };
}

/** From at most `low` to at least `high` in steps of 1, 2, 2.5 or 5 times a power of ten. */
export function roundNumbers(low: number, high: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / TICKS));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => span / (power * factor) <= TICKS) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function line({ name, points }: Series, i: number, place: Place): string {
  const places = points.map(place);
  const d = places.map(([x, y], at) => `${at === 0 ? "M" : "L"}${tidy(x)} ${tidy(y)}`).join("");
  const marks = places.map(([x, y]) => `<circle cx="${tidy(x)}" cy="${tidy(y)}" r="3.5" fill="${colour(i)}"/>`);
  return `<g><title>${escaped(name)}</title><path class="line" d="${d}" ${stroke(i)}/>${marks.join("")}</g>`;
}

/** One row under the title, as wide as the names are long. */
function legend(series: readonly Series[]): string[] {
  let x = FRAME.left;
  return series.map(({ name }, i) => {
    const entry = `<path class="line" d="M${x} 50h26" ${stroke(i)}/>${text(x + 32, 54, "start", name, "name")}`;
    x += 56 + 7.2 * name.length;
    return entry;
  });
}

function stroke(i: number): string {
  const dashes = DASHES[i % DASHES.length];
  return `stroke="${colour(i)}"${dashes ? ` stroke-dasharray="${dashes}"` : ""}`;
}
