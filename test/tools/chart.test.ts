import { suite } from "uvu";
import * as assert from "uvu/assert";
import { lineChart, roundNumbers } from "../../tools/cli/chart.ts";

const test = suite("chart");

const chart = {
  title: 'a < b & "c"',
  x: { title: "bits", ticks: [2, 4, 8] },
  y: { title: "%", text: (value: number): string => `${value} %` },
  series: [
    {
      name: "one",
      points: [
        [2, 51],
        [4, 88],
        [8, 90],
      ],
    },
    {
      name: "two",
      points: [
        [2, 90],
        [8, 90],
      ],
    },
  ],
} as const;
const svg = lineChart(chart);

/** Numbers of all circles, series by series. */
const circles = [...svg.matchAll(/<g>.*?<\/g>/g)].map(([group]) =>
  [...group.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]),
);

test("every point has its place: further right is more, further up is more", () => {
  assert.equal(
    circles.map(({ length }) => length),
    [3, 2],
  );
  const [[a, b, c], [d, e]] = circles;
  assert.ok(a[0] < b[0] && b[0] < c[0] && a[1] > b[1] && b[1] > c[1]);
  assert.equal([d[0], e[0]], [a[0], c[0]]);
  assert.equal([d[1], e[1]], [c[1], c[1]]);
  // 4 bits are a third of the way from 2 to 8.
  assert.ok(Math.abs((b[0] - a[0]) / (c[0] - a[0]) - 1 / 3) < 0.01);
});

test("ticks are written as the axis says, and stand where their values are", () => {
  for (const text of ["50 %", "90 %", ">2<", ">8<"]) assert.ok(svg.includes(text), text);
  const [, x] = /x="([\d.]+)" y="[\d.]+" text-anchor="middle">4</.exec(svg) ?? [];
  assert.is(Number(x), circles[0][1][0]);
});

test("words of others are no markup", () => {
  assert.ok(svg.includes("a &lt; b &amp; &quot;c&quot;"));
  assert.not.match(svg, /a < b/);
});

test("all that is drawn lies inside", () => {
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
  for (const [x, y] of circles.flat()) assert.ok(x > 0 && x < Number(width) && y > 0 && y < Number(height));
});

test("one value alone has a place too", () => {
  assert.not.match(
    lineChart({ ...chart, x: { title: "" }, series: [{ name: "one", points: [[3, 5]] }] }),
    /NaN|Infinity/,
  );
});

test("round numbers cover a range in a few steps", () => {
  assert.equal(roundNumbers(51, 90), [50, 60, 70, 80, 90]);
  assert.equal(roundNumbers(4.3, 8.9), [4, 5, 6, 7, 8, 9]);
  assert.equal(
    roundNumbers(0, 0.4).map((x) => x.toFixed(1)),
    ["0.0", "0.1", "0.2", "0.3", "0.4"],
  );
  for (const [low, high] of [
    [-7, 3],
    [0, 1e6],
    [99.2, 99.9],
  ]) {
    const ticks = roundNumbers(low, high);
    assert.ok(ticks.length <= 8 && ticks[0] <= low && ticks[ticks.length - 1] >= high, `${ticks}`);
  }
});

test.run();
