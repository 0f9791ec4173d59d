import type { Health } from "../health/health.ts";
import { type Info, type Report, topicOf, type UpdateView } from "./topics.ts";

/** Where Home Assistant looks for devices (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery). */
export function discoveryTopic(device: string): string {
  return `homeassistant/device/${device}/config`;
}

type Field = keyof Health;

/** Fields of `state` that are shown as sensors: name, unit, class. */
const sensors: readonly (readonly [field: Field, name: string, unit?: string, deviceClass?: string])[] = [
  ["agreement_pct", "Agreement with the float model", "%"],
  ["p95_ms", "Latency (p95)", "ms", "duration"],
  ["inf_per_s", "Inferences", "1/s"],
  ["drift_residual", "Drift residual"],
  ["temp_c", "Temperature", "°C", "temperature"],
  ["rss_mb", "Memory", "MB", "data_size"],
  ["disk_free_mb", "Free disk", "MB", "data_size"],
];

/**
 * One message that makes a device with all its entities. Its install button only agrees to a job that waits for that:
 * what a device runs is for the fleet to sign, not for a home's panel to say.
 */
export function discovery({ device, runtime, profile }: Info): Readonly<Record<string, unknown>> {
  const entity = (platform: string, id: string, more: Readonly<Record<string, unknown>>): unknown => ({
    p: platform,
    unique_id: `polaredge_${device}_${id}`,
    ...more,
  });
  const shown = sensors.map(([field, name, unit, deviceClass]) => [
    field,
    entity("sensor", field, {
      name,
      value_template: `{{ value_json.${field} }}`,
      state_class: "measurement",
      ...(unit !== undefined && { unit_of_measurement: unit }),
      ...(deviceClass !== undefined && { device_class: deviceClass }),
    }),
  ]);
  const problem = { name: "Problem", device_class: "problem", payload_on: "True", payload_off: "False" };
  const value = { value_template: "{{ value_json.status != 'ok' }}" };
  return {
    dev: { ids: [`polaredge_${device}`], name: device, mf: "polaredge", mdl: profile, sw: runtime },
    o: { name: "polaredge", sw: runtime },
    availability: [{ topic: topicOf(device, "online") }],
    state_topic: topicOf(device, "state"),
    cmps: {
      ...Object.fromEntries(shown),
      problem: entity("binary_sensor", "problem", { ...problem, ...value }),
      update: entity("update", "update", {
        name: "Model",
        state_topic: topicOf(device, "job/update"),
        command_topic: topicOf(device, "cmd/approve"),
        payload_install: "{}",
      }),
      recalibrate: entity("button", "recalibrate", {
        name: "Recalibrate",
        command_topic: topicOf(device, "cmd/recalibrate"),
        payload_press: "{}",
        entity_category: "config",
      }),
    },
  };
}

export function updateView({ jobId, action, active, status, state, progress }: Report): UpdateView {
  const installed = active?.version ?? null;
  const installing = status === "IN_PROGRESS" && action === "install";
  return {
    installed_version: installed,
    latest_version: installing ? jobId : installed,
    title: active?.name ?? "model",
    in_progress: installing && state !== "WAITING",
    update_percentage: progress && progress.of > 0 ? Math.round((100 * progress.done) / progress.of) : null,
  };
}
