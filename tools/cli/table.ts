import { stripVTControlCharacters } from "node:util";
import colors from "picocolors";

export interface Column {
  readonly title: string;
  /** Numbers stand right, words left. */
  readonly align?: "left" | "right";
}

/** Rows of text under bold titles, as wide as their widest cell. Colours are off when the output is no terminal. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.map((row) => stripVTControlCharacters(row[i] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => pad(cell, widths[i], columns[i].align ?? "left"))
      .join("  ")
      .trimEnd();
  return [
    colors.bold(line(columns.map(({ title }) => title))),
    colors.dim(widths.map((width) => "─".repeat(width)).join("  ")),
    ...rows.map(line),
  ].join("\n");
}

function pad(cell: string, width: number, align: "left" | "right"): string {
  const blank = " ".repeat(Math.max(0, width - stripVTControlCharacters(cell).length));
  return align === "left" ? cell + blank : blank + cell;
}

/** 0.9312 -> "93.1 %". */
export function percent(fraction: number | null, digits = 1): string {
  return fraction === null ? "-" : `${(100 * fraction).toFixed(digits)} %`;
}

/** With the unit that leaves one to four digits before the point. */
export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

export function thousands(count: number): string {
  return count.toLocaleString("en-US");
}
