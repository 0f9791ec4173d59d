/** Something that reads values and yields one of its own name, in an order in which it can run. */
export interface Step {
  readonly name: string;
  readonly inputs: readonly string[];
}

/** Where a step stands in a drawing with a lane for each value that is still needed, as version control draws it. */
export interface LaneRow {
  readonly lane: number;
  /** Lanes of its inputs. */
  readonly sources: readonly number[];
  /** Of these, the ones that nobody reads any more. */
  readonly ended: readonly number[];
  /** Lanes of values that only pass by, or are read again later. */
  readonly passing: readonly number[];
}

/** The first free lane for each value, from the left; a step goes on in the lane of an input that ends there. */
export function lanesOf(input: string, steps: readonly Step[]): LaneRow[] {
  const lastRead = new Map(steps.flatMap(({ inputs }, i) => inputs.map((value): [string, number] => [value, i])));
  const lanes: (string | undefined)[] = [input];
  return steps.map(({ name, inputs }, i) => {
    const sources = [...new Set(inputs.map((value) => lanes.indexOf(value)))]
      .filter((lane) => lane >= 0)
      .sort((a, b) => a - b);
    const ended = sources.filter((lane) => lastRead.get(lanes[lane] ?? "") === i);
    for (const lane of ended) lanes[lane] = undefined;
    const passing = [...lanes.keys()].filter((lane) => lanes[lane] !== undefined);
    const free = lanes.indexOf(undefined);
    const lane = ended[0] ?? (free < 0 ? lanes.length : free);
    lanes[lane] = name;
    return { lane, sources, ended, passing };
  });
}

/** One line of text per row: ● the step, │ a value on its way, ╯ one that ends here, ├ one that is read again later. */
export function laneText(row: LaneRow): string {
  const [first, last] = [Math.min(row.lane, ...row.sources), Math.max(row.lane, ...row.sources)];
  const width = Math.max(last, ...row.passing) + 1;
  return Array.from({ length: width }, (_, at) => cell(row, at, at > first && at < last) + line(at, first, last))
    .join("")
    .trimEnd();
}

const line = (at: number, first: number, last: number): string => (at >= first && at < last ? "─" : " ");

function cell({ lane, sources, ended, passing }: LaneRow, at: number, across: boolean): string {
  if (at === lane) return "●";
  const right = at > lane;
  if (ended.includes(at)) return right ? "╯" : "╰";
  if (sources.includes(at)) return right ? "┤" : "├";
  if (passing.includes(at)) return across ? "┼" : "│";
  return across ? "─" : " ";
}
