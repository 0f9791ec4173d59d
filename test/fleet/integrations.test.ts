import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parse as parseYaml } from "yaml";
import { discovery } from "../../runtime/fleet/discovery.ts";
import { topicOf } from "../../runtime/fleet/topics.ts";
import type { Health } from "../../runtime/health/health.ts";
import { well } from "../support/health.ts";

const test = suite("integrations");

const folder = mkdtempSync(join(tmpdir(), "polaredge-integrations-"));
const read = (name: string): string => readFileSync(`tools/integrations/${name}`, "utf8");
const fields = Object.keys(well);

/** Debian's; false where it is not here. */
function promtool(...args: string[]): boolean {
  const { error, status, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  if (error) process.stdout.write("skipped: promtool is not here (Debian: prometheus)\n");
  else assert.is(status, 0, stderr);
  return error === undefined;
}

interface Telegraf {
  readonly inputs: {
    readonly mqtt_consumer: readonly {
      readonly topics: readonly string[];
      readonly json_v2: readonly {
        readonly timestamp_path: string;
        readonly object: readonly { readonly tags: readonly string[]; readonly excluded_keys: readonly string[] }[];
      }[];
    }[];
  };
  readonly processors: {
    readonly enum: readonly {
      readonly mapping: readonly { readonly field: string; readonly dest: string; readonly value_mappings: object }[];
    }[];
  };
}

const telegraf = parseToml(read("telegraf.conf")) as unknown as Telegraf;
const [consumer] = telegraf.inputs.mqtt_consumer;
const [{ tags, excluded_keys: excluded }] = consumer.json_v2[0].object;
const [mapping] = telegraf.processors.enum[0].mapping;

test("Telegraf hears the state of every device, and names fields that it has", () => {
  assert.equal(consumer.topics, [topicOf("+", "state")]);
  for (const field of [...tags, ...excluded, consumer.json_v2[0].timestamp_path, mapping.field]) {
    assert.ok(fields.includes(field), field);
  }
  const status: Record<Health["status"], number> = { ok: 0, degraded: 1, fault: 2 };
  assert.equal({ ...mapping.value_mappings }, status);
});

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

const { panels }: Dashboard = JSON.parse(read("grafana-dashboard.json"));
const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

test("the Grafana dashboard asks for series that Telegraf makes", () => {
  const series = new Set([...fields.filter((field) => ![...tags, ...excluded].includes(field)), mapping.dest]);
  for (const query of queries) {
    const [, field = ""] = /polaredge_(\w+)\{/.exec(query) ?? [];
    assert.ok(series.has(field), query);
  }
});

test("the Grafana dashboard's queries are PromQL", () => {
  const rules = queries.map((expr, i) => ({ record: `query:${i}`, expr: expr.replaceAll("$device", ".*") }));
  const file = join(folder, "rules.json");
  writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
  promtool("check", "rules", file);
});

test("the Grafana dashboard's panels lie beside each other", () => {
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x} ${y}`), title);
        taken.add(`${x} ${y}`);
      }
    }
  }
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length);
});

test("Prometheus takes its configuration", () => {
  promtool("check", "config", "tools/integrations/prometheus.yml");
});

interface FlowNode {
  readonly id: string;
  readonly type: string;
  readonly z?: string;
  readonly topic?: string;
  readonly func?: string;
  readonly wires?: readonly (readonly string[])[];
}

test("the Node-RED flow is wired, hears the state, and says who is not well", () => {
  const flow: readonly FlowNode[] = JSON.parse(read("node-red-flow.json"));
  const ids = flow.map(({ id }) => id);
  assert.is(new Set(ids).size, ids.length);
  for (const { z, wires = [] } of flow) {
    for (const id of [...wires.flat(), ...(z ? [z] : [])]) assert.ok(ids.includes(id), id);
  }
  assert.is(flow.find(({ id }) => id === "state-in")?.topic, topicOf("+", "state"));
  const alert = new Function("msg", flow.find(({ id }) => id === "alert")?.func ?? "");
  const payload = { ...well, status: "degraded", reasons: ["drifting"] };
  assert.equal(alert({ topic: topicOf("pi-1", "state"), payload }), {
    topic: "alerts/polaredge/pi-1",
    payload: { device: "pi-1", status: "degraded", reasons: ["drifting"], model: "sums", version: "1.0.0" },
  });
});

test("the Home Assistant card names entities that discovery makes", () => {
  const device = "press-17";
  const info = { v: 1, device, boot: "b", runtime: "1", node: "v", profile: "p", accelerator: null } as const;
  const { cmps } = discovery(info) as { cmps: Record<string, { p: string; name: string }> };
  const slug = (text: string): string =>
    text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "_")
      .replace(/^_|_$/g, "");
  const made = Object.values(cmps).map(({ p, name }) => `${p}.${slug(`${device} ${name}`)}`);
  const card = read("home-assistant-card.yaml");
  assert.is(parseYaml(card).type, "vertical-stack");
  const named = [...JSON.stringify(parseYaml(card)).matchAll(/"([a-z_]+\.press_17_\w+)"/g)].map(([, entity]) => entity);
  assert.ok(named.length >= 8);
  for (const entity of named) assert.ok(made.includes(entity), `${entity} of ${made}`);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
