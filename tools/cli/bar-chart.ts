import { colour, page, text, tidy } from "./svg.ts";

/** Bars from the left, one below the other, as SVG text. */
export interface BarChart {
  readonly title: string;
  /** What the bars' lengths are, with their unit. */
  readonly axis: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Written at its end. */
  readonly text: string;
  /** Bars of one kind have one colour. */
  readonly kind: number;
}

const WIDTH = 760;
const LEFT = 24;
const TOP = 76;
const ROW = 34;
const THICKNESS = 18;
/** Room for names and for what is written at the ends. */
const NAMES = 190;
const TEXTS = 170;

export function barChart({ title, axis, bars }: BarChart): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const [start, room] = [LEFT + NAMES, WIDTH - LEFT - NAMES - TEXTS];
  const rows = bars.flatMap(({ name, value, text: words, kind }, i) => {
    const y = TOP + i * ROW;
    const length = Math.max(1, (room * value) / longest);
    return [
      text(start - 10, y + 14, "end", name, "name"),
      `<rect x="${start}" y="${y}" width="${tidy(length)}" height="${THICKNESS}" rx="2" fill="${colour(kind)}"/>`,
      text(start + length + 8, y + 14, "start", words, "value"),
    ];
  });
  const parts = [text(LEFT, 52, "start", axis, "axis"), ...rows];
  return page({ title, left: LEFT, width: WIDTH, height: TOP + ROW * bars.length + 8 }, parts);
}
