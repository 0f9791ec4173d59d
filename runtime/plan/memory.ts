/** A buffer and the steps (by index) between which its content matters, both included. */
export interface Lifetime {
  readonly name: string;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Layout {
  readonly offsets: ReadonlyMap<string, number>;
  readonly bytes: number;
}

/** Slots start at multiples of this, for SIMD loads. */
const ALIGNMENT = 16;

/** Greedy placement depends on the order; these two are good on different graphs, so the better one is kept. */
const orders: readonly ((a: Lifetime, b: Lifetime) => number)[] = [
  (a, b) => b.bytes - a.bytes,
  (a, b) => a.first - b.first,
];

/**
 * Places buffers so that no two that live at the same time overlap: each in turn at the lowest offset that is free
 * during its life ("greedy by size" and by time, Pisarchyk and Lee, arXiv 2001.03288).
 */
export function planMemory(lifetimes: readonly Lifetime[]): Layout {
  const [first, ...others] = orders.map((order) => placeInTurn([...lifetimes].sort(order)));
  return others.reduce((best, layout) => (layout.bytes < best.bytes ? layout : best), first);
}

function placeInTurn(lifetimes: readonly Lifetime[]): Layout {
  const placed: (Lifetime & { readonly offset: number })[] = [];
  for (const buffer of lifetimes) {
    const neighbours = placed
      .filter((other) => other.first <= buffer.last && buffer.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    placed.push({ ...buffer, offset: lowestGap(buffer.bytes, neighbours) });
  }
  return {
    offsets: new Map(placed.map(({ name, offset }) => [name, offset])),
    bytes: placed.reduce((end, { offset, bytes }) => Math.max(end, align(offset + bytes)), 0),
  };
}

function lowestGap(bytes: number, neighbours: readonly { readonly offset: number; readonly bytes: number }[]): number {
  let offset = 0;
  for (const other of neighbours) {
    if (offset + bytes <= other.offset) break;
    offset = Math.max(offset, align(other.offset + other.bytes));
  }
  return offset;
}

function align(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}
