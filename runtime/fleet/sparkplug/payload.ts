import { PbfReader, PbfWriter } from "pbf";

/** Numbers of data types in use here (Sparkplug 3.0, section 6.4.16). */
const types = { uint64: 8, double: 10, boolean: 11, string: 12 } as const;
export type MetricType = keyof typeof types;

export interface Metric {
  /** In births; afterwards the alias will do. */
  readonly name?: string | undefined;
  readonly alias?: number | undefined;
  readonly type: MetricType;
  /** Null: not known. */
  readonly value: number | boolean | string | null;
}

export interface Payload {
  /** UTC, milliseconds; of all metrics too. */
  readonly timestamp: number;
  /** Of the message, 0 to 255; a death has none. */
  readonly seq?: number | undefined;
  readonly metrics: readonly Metric[];
}

/** Fields of `org.eclipse.tahu.protobuf.Payload` and its `Metric` (Sparkplug 3.0, section 6.4). */
const PAYLOAD = { timestamp: 1, metrics: 2, seq: 3 } as const;
const METRIC = { name: 1, alias: 2, timestamp: 3, datatype: 4, isNull: 7 } as const;
const VALUE: Readonly<Record<MetricType, number>> = { uint64: 11, double: 13, boolean: 14, string: 15 };

export function encodePayload({ timestamp, seq, metrics }: Payload): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(PAYLOAD.timestamp, timestamp);
  for (const metric of metrics) {
    pbf.writeMessage(PAYLOAD.metrics, (_, inner) => writeMetric(metric, timestamp, inner), undefined);
  }
  if (seq !== undefined) pbf.writeVarintField(PAYLOAD.seq, seq);
  return pbf.finish();
}

function writeMetric({ name, alias, type, value }: Metric, timestamp: number, pbf: PbfWriter): void {
  if (name !== undefined) pbf.writeStringField(METRIC.name, name);
  if (alias !== undefined) pbf.writeVarintField(METRIC.alias, alias);
  pbf.writeVarintField(METRIC.timestamp, timestamp);
  pbf.writeVarintField(METRIC.datatype, types[type]);
  if (value === null) pbf.writeBooleanField(METRIC.isNull, true);
  else if (typeof value === "string") pbf.writeStringField(VALUE.string, value);
  else if (typeof value === "boolean") pbf.writeBooleanField(VALUE.boolean, value);
  else if (type === "uint64") pbf.writeVarintField(VALUE.uint64, value);
  else pbf.writeDoubleField(VALUE.double, value);
}

/** Names of the boolean metrics of a command that are true. None in what is no payload. */
export function commandsIn(bytes: Uint8Array): readonly string[] {
  try {
    const names: string[] = [];
    new PbfReader(bytes).readFields((tag, _, pbf) => {
      if (tag !== PAYLOAD.metrics) return;
      const metric = pbf.readMessage(readMetric, { name: "", on: false });
      if (metric.on) names.push(metric.name);
    }, undefined);
    return names;
  } catch {
    return [];
  }
}

function readMetric(tag: number, metric: { name: string; on: boolean } | undefined, pbf: PbfReader): void {
  if (!metric) return;
  if (tag === METRIC.name) metric.name = pbf.readString();
  if (tag === VALUE.boolean) metric.on = pbf.readBoolean();
}
