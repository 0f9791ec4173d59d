const signs: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text of others as text of an SVG. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => signs[sign]);
}

/** Okabe and Ito's colours, told apart by any eye, brighter on dark. */
const SCHEME = `
  svg { --ink: #1b1f24; --faint: #6b7280; --grid: #e5e7eb; --paper: #ffffff;
        --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #8a6d00; --s5: #56b4e9; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6e8eb; --faint: #9aa3ad; --grid: #2b323b; --paper: #14181d;
          --s0: #56b4e9; --s1: #f08a4b; --s2: #35c9a0; --s3: #e6a3c6; --s4: #e4c95b; --s5: #9fd3f5; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 16px; font-weight: 600; }
  .tick, .axis { fill: var(--faint); }
  .grid { stroke: var(--grid); }`;
const COLOURS = 6;

export interface Page {
  readonly title: string;
  /** Where the title begins. */
  readonly left: number;
  readonly width: number;
  readonly height: number;
  /** CSS of its own. */
  readonly style?: string;
}

/** A titled picture that fits any width, follows the reader's light or dark scheme, needs no script and no font. */
export function page({ title, left, width, height, style = "" }: Page, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${SCHEME}${style}\n</style>`,
    `<rect width="${width}" height="${height}" fill="var(--paper)"/>`,
    text(left, 30, "start", title, "title"),
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** The colour of the i-th thing. */
export function colour(i: number): string {
  return `var(--s${i % COLOURS})`;
}

export function text(x: number, y: number, anchor: "start" | "middle" | "end", words: string, kind: string): string {
  return `<text class="${kind}" x="${tidy(x)}" y="${tidy(y)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

export function tidy(value: number): string {
  return String(Math.round(value * 10) / 10);
}
