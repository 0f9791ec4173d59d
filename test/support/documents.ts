import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A command of a document, and what the document says that it prints. */
export interface Line {
  readonly command: string;
  readonly expected: readonly string[];
}

/** What a document can be tried with. */
export interface Script {
  readonly path: string;
  /** By the name after the language: ```json fleet.json */
  readonly files: ReadonlyMap<string, string>;
  readonly lines: readonly Line[];
  /** Of blocks that are not for this machine: ```console board */
  readonly elsewhere: number;
}

const skipped = new Set(["node_modules", "dist", ".git"]);

/** All Markdown of the tree. */
export function documents(folder = "."): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

export function readScript(path: string): Script {
  const files = new Map<string, string>();
  const lines: Line[] = [];
  let elsewhere = 0;
  for (const [, language = "", note = "", text = ""] of readFileSync(path, "utf8").matchAll(
    /^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$/gms,
  )) {
    if (language !== "console" && note !== "") files.set(note, text);
    else if (language === "console" && note !== "") elsewhere += linesIn(text).length;
    else if (language === "console") lines.push(...linesIn(text));
  }
  return { path, files, lines, elsewhere };
}

/** A `$` begins a command, a `\` at its end carries it on; what follows is what it prints. */
export function linesIn(text: string): Line[] {
  return text
    .replace(/\\\n\s*/g, "")
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = "", ...expected] = part.trimEnd().split("\n");
      return { command: command.replace(/\s+#\s.*$/, ""), expected };
    });
}

/**
 * The first expected line that is not found in its place, or undefined. Numbers, digests and widths may differ; `...`
 * stands for any lines.
 */
export function missing(expected: readonly string[], found: string): string | undefined {
  const lines = found.split("\n").map(shapeOf);
  let from = 0;
  for (const line of expected) {
    const shape = shapeOf(line);
    if (shape === "" || shape === "...") continue;
    const at = lines.findIndex((each, i) => i >= from && fits(each, shape));
    if (at < 0) return line;
    from = at + 1;
  }
  return undefined;
}

/** A line may be cut short with `...`. */
function fits(found: string, expected: string): boolean {
  return expected.endsWith("...") ? found.startsWith(expected.slice(0, -3)) : found === expected;
}

/** What is the same in every run. A rollout is named after its time in base 36, where one in five has no digit. */
export function shapeOf(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ][\d:.]+Z?/g, "TIME")
    .replace(/-[0-9a-z]{8}(?=: )/g, "-ID")
    .replace(/\b(?=[0-9a-z]*\d)[0-9a-z]{6,}\b/g, "ID")
    .replace(/-?\d[\d,]*(?:\.\d+)?/g, "N")
    .replace(/(?<=N )(?:µs|ms|s|B|KiB|MiB)(?![a-z])/g, "UNIT")
    .replace(/[─█┊·]+/g, "-")
    .replace(/\s+/g, " ")
    .trim();
}
