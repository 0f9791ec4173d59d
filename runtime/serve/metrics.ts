import type { Health } from "../health/health.ts";
import type { Meter } from "../health/meter.ts";
import type { ServedModel } from "./servable.ts";

/** What there is to tell. */
export interface Figures {
  readonly model: ServedModel | undefined;
  readonly health: Health | undefined;
  readonly inferences: Meter;
  readonly requests: Meter;
  /** Requests answered, by HTTP status. */
  readonly answered: ReadonlyMap<number, number>;
}

type Labels = Readonly<Record<string, string | number>>;
/** Suffix of the name, labels, value. */
type Sample = readonly [suffix: string, labels: Labels, value: number | boolean | null | undefined];

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "summary";
  readonly help: string;
  readonly samples: (figures: Figures) => readonly Sample[];
}

const MB = 2 ** 20;
const QUANTILES = [0.5, 0.95, 0.99];

const one = (name: string, type: "counter" | "gauge", help: string, read: (figures: Figures) => Sample[2]): Metric => ({
  name,
  type,
  help,
  samples: (figures) => [["", {}, read(figures)]],
});

const latency = (name: string, help: string, read: (figures: Figures) => Meter): Metric => ({
  name,
  type: "summary",
  help: `${help}; quantiles of the last one to two health intervals.`,
  samples: (figures) => {
    const meter = read(figures);
    const quantile = (share: number): number => (meter.percentile(share) ?? Number.NaN) / 1000;
    return [
      ...QUANTILES.map((share): Sample => ["", { quantile: share }, quantile(share)]),
      ["_sum", {}, meter.totalMs / 1000],
      ["_count", {}, meter.total],
    ];
  },
});

/** A part of something, from per cent. */
const ratio = (pct: number | null | undefined): number | undefined => (typeof pct === "number" ? pct / 100 : undefined);
const mega = (count: number | null | undefined): number | undefined =>
  typeof count === "number" ? count * MB : undefined;

const metrics: readonly Metric[] = [
  {
    name: "polaredge_model_info",
    type: "gauge",
    help: "The model that answers; always 1.",
    samples: ({ model, health }) =>
      model ? [["", { name: model.name, version: model.version, unit: health?.unit ?? "" }, 1]] : [],
  },
  one("polaredge_ready", "gauge", "Whether a model answers.", ({ model }) => model !== undefined),
  one("polaredge_healthy", "gauge", "Whether nothing is wrong.", ({ health }) => health && health.status === "ok"),
  {
    name: "polaredge_unhealthy_reason",
    type: "gauge",
    help: "What is wrong; 1 while it is.",
    samples: ({ health }) => (health?.reasons ?? []).map((reason): Sample => ["", { reason }, 1]),
  },
  latency("polaredge_inference_seconds", "One inference, whoever asked", ({ inferences }) => inferences),
  one(
    "polaredge_inference_errors_total",
    "counter",
    "Inferences that failed or gave no finite numbers.",
    ({ inferences }) => inferences.errors,
  ),
  latency("polaredge_request_seconds", "Infer requests that were answered, all their samples", (f) => f.requests),
  {
    name: "polaredge_requests_total",
    type: "counter",
    help: "Requests answered, by HTTP status.",
    samples: ({ answered }) => [...answered].map(([code, count]): Sample => ["", { code }, count]),
  },
  one("polaredge_agreement_ratio", "gauge", "Probes that are answered as the float model does.", ({ health }) =>
    ratio(health?.agreement_pct),
  ),
  one(
    "polaredge_drift_residual",
    "gauge",
    "Relative output error of the probes.",
    ({ health }) => health?.drift_residual,
  ),
  one("polaredge_noise_floor", "gauge", "Drift residual that is noise.", ({ health }) => health?.noise_floor),
  one("polaredge_calibration_age_seconds", "gauge", "Since the corrections were fitted.", (f) => f.health?.recal_age_s),
  one("polaredge_link_up", "gauge", "Whether the accelerator answers.", ({ health }) => health?.link_ok),
  one("polaredge_temperature_celsius", "gauge", "Of the board.", ({ health }) => health?.temp_c),
  one("polaredge_disk_free_bytes", "gauge", "Where the store is.", ({ health }) => mega(health?.disk_free_mb)),
  one("process_resident_memory_bytes", "gauge", "Resident memory.", () => process.memoryUsage.rss()),
  one("process_cpu_seconds_total", "counter", "User and system time.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }),
  one("process_start_time_seconds", "gauge", "Unix time.", () => performance.timeOrigin / 1000),
];

/**
 * What Prometheus reads, in its text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format). What is not known is left out.
 */
export function metricsText(figures: Figures): string {
  return metrics.map((metric) => metricText(metric, metric.samples(figures))).join("");
}

function metricText({ name, type, help }: Metric, samples: readonly Sample[]): string {
  const known = samples.filter(([, , value]) => value !== undefined && value !== null);
  if (known.length === 0) return "";
  const lines = known.map(([suffix, labels, value]) => `${name}${suffix}${labelsText(labels)} ${Number(value)}`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const escaped = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
