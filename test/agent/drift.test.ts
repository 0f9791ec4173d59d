import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { type Drift, noDrift, watchDrift } from "../../runtime/health/drift.ts";
import { statusOf } from "../../runtime/health/health.ts";
import { Host } from "../../runtime/health/host.ts";
import { Meter } from "../../runtime/health/meter.ts";
import { askProbes, percentile } from "../../runtime/health/probes.ts";

const test = suite("drift");
const policy = { checkSeconds: 60, recalibrateBelowPct: 90, healthyAbovePct: 95 };

/** What happens when the probes agree so well, one reading after the other. */
function story(readings: readonly number[], unit: "digital" | "accelerator" = "accelerator"): string {
  let drift: Drift = noDrift;
  return readings
    .map((agreementPct) => {
      const next = watchDrift(policy, drift, { agreementPct, unit });
      drift = next.drift;
      return next.action ?? drift.at;
    })
    .join(", ");
}

const stories: readonly (readonly [string, readonly number[], string, ("digital" | "accelerator")?])[] = [
  ["a healthy device stays so", [100, 96, 95], "healthy, healthy, healthy"],
  ["one low reading is noise", [80, 100, 80, 100], "healthy, healthy, healthy, healthy"],
  ["in between, nothing happens", [92, 93, 91, 94], "healthy, healthy, healthy, healthy"],
  ["two low readings recalibrate", [100, 85, 84, 99], "healthy, healthy, recalibrate, healthy"],
  ["a cure that is none falls back", [85, 84, 85, 84], "healthy, recalibrate, recalibrated, fall-back"],
  ["half a cure is waited for", [85, 84, 92, 92, 96], "healthy, recalibrate, recalibrated, recalibrated, healthy"],
  [
    "in the end it is told",
    [85, 84, 80, 80, 80, 80],
    "healthy, recalibrate, recalibrated, fall-back, fallen-back, lost",
  ],
  [
    "what is lost is not tried for ever",
    [1, 1, 1, 1, 1, 1, 1, 1],
    "healthy, recalibrate, recalibrated, fall-back, fallen-back, lost, lost, lost",
  ],
  [
    "what is lost can be found again",
    [1, 1, 1, 1, 1, 1, 96, 85, 85],
    "healthy, recalibrate, recalibrated, fall-back, fallen-back, lost, healthy, healthy, recalibrate",
  ],
  [
    "a digital model has nowhere to fall back to",
    [85, 84, 85, 84],
    "healthy, recalibrate, recalibrated, lost",
    "digital",
  ],
];

for (const [name, readings, path, unit] of stories) {
  test(name, () => assert.is(story(readings, unit), path));
}

test("probes tell agreement, residual, noise and what is not finite", async () => {
  const probes = {
    count: 4,
    inputs: Float32Array.of(0, 1, 2, 3),
    answers: Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0),
  };
  let asked = 0;
  const answers = [
    [1, 0],
    [0, 1],
    [Number.NaN, 0],
    [1, 0],
    [1, 0.5],
  ];
  const reading = await askProbes(
    probes,
    async () => Float32Array.from(answers[asked++] ?? []),
    () => asked,
  );
  assert.equal([reading.agreementPct, reading.nonFinite, reading.noiseFloor, reading.p95Ms], [50, 1, 0.5, 1]);
  assert.ok(Math.abs(reading.residual - Math.sqrt(3 / 4)) < 1e-12);
  const none = { count: 0, inputs: new Float32Array(), answers: new Float32Array() };
  assert.is(
    (
      await askProbes(
        none,
        async () => new Float32Array(),
        () => 0,
      )
    ).agreementPct,
    0,
  );
});

test("percentiles of the meter are right within 5 %, over two windows", () => {
  const next = uniform(3);
  const meter = new Meter();
  const latencies = Array.from({ length: 5000 }, () => 0.02 * 1e4 ** next());
  assert.is(meter.percentile(0.5), undefined);
  for (const [i, ms] of latencies.entries()) {
    if (i === 2500) meter.turn();
    meter.count(ms, i % 100 !== 0);
  }
  for (const share of [0.01, 0.5, 0.95, 1]) {
    const ratio = (meter.percentile(share) ?? 0) / percentile(latencies, share);
    assert.ok(Math.abs(ratio - 1) < 0.05, `${share}: ${ratio}`);
  }
  assert.equal([meter.total, meter.errors], [5000, 50]);
  meter.turn();
  meter.turn();
  assert.is(meter.percentile(0.5), undefined);
  for (const odd of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) meter.count(odd, true);
  assert.ok((meter.percentile(0.5) ?? -1) > 0);
});

test("the worst reason decides the status", () => {
  assert.is(statusOf([]), "ok");
  assert.is(statusOf(["drifting"]), "degraded");
  assert.is(statusOf(["drifting", "not-serving", "no-model"]), "fault");
});

test("the host tells its memory and load", async () => {
  const { rss_mb, cpu_pct, temp_c } = await new Host().read();
  assert.ok(rss_mb > 10);
  assert.ok(cpu_pct === null || cpu_pct >= 0);
  assert.ok(temp_c === null || Number.isFinite(temp_c));
});

test.run();
