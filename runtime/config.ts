import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { Failure, messageOf } from "./base/failure.ts";
import { parseJson } from "./base/json.ts";
import { type LogLevel, logLevels } from "./base/log.ts";
import { describeIssues } from "./base/schema.ts";
import type { BrokerOptions } from "./fleet/connection.ts";
import { OVER_MQTT } from "./fleet/files/sources.ts";
import { deviceId } from "./fleet/jobs.ts";
import type { SparkplugOptions } from "./fleet/sparkplug/edge-node.ts";
import type { ServeOptions } from "./serve/server.ts";

/** What is in /etc/polaredge.json. */
export interface Config {
  readonly device: {
    /** Its name in the fleet, and the client id at the broker. */
    readonly id: string;
    /** A profile that ships with the product, by name, or a path to a JSON file. */
    readonly profile: string;
    /** By which operators select it. */
    readonly tags?: readonly string[] | undefined;
  };
  readonly store: { readonly path: string };
  /** Null: whoever may write to the device's topics at the broker decides what it runs. */
  readonly trust: {
    /** The root.json that the device was given when it was enrolled. */
    readonly root: string;
    /** URL of the repository with metadata, manifests and files; `mqtt:` where the device reaches only its broker. */
    readonly repository: string;
  } | null;
  /** Null: the device runs what it has, and nobody tells it anything. */
  readonly broker: BrokerOptions | null;
  /** A second connection, as an edge node of Sparkplug B; none if absent. */
  readonly sparkplug?: SparkplugOptions | undefined;
  readonly accelerator: {
    /** A serial port: /dev/serial/by-id/... */
    readonly address: string;
    readonly profile: string;
  } | null;
  /** Where other programs on the device may ask the model (Open Inference Protocol v2); nowhere if absent. */
  readonly serve: ServeOptions | null;
  /** Recent inputs kept in memory for recalibration; 0 keeps none. */
  readonly reservoir: { readonly samples: number };
  readonly health: { readonly intervalSeconds: number };
  readonly log: { readonly level: LogLevel };
}

const text = z.string().check(z.minLength(1), z.maxLength(4096));

/** How to reach a broker, of devices and operators. */
export const brokerOptions: z.ZodMiniType<BrokerOptions> = z.strictObject({
  url: z.url({ protocol: /^(mqtts?|wss?)$/ }),
  username: z.optional(text),
  password: z.optional(text),
  keepaliveSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
  tls: z.optional(z.strictObject({ ca: z.optional(text), certificate: z.optional(text), key: z.optional(text) })),
  homeAssistant: z.optional(z.boolean()),
});

const config: z.ZodMiniType<Config> = z.strictObject({
  device: z.strictObject({ id: deviceId, profile: text, tags: z.optional(z.array(deviceId)) }),
  store: z.strictObject({ path: text }),
  trust: z.nullable(
    z.strictObject({ root: text, repository: z.union([z.literal(OVER_MQTT), z.url({ protocol: /^https?$/ })]) }),
  ),
  broker: z.nullable(brokerOptions),
  sparkplug: z.optional(
    z.strictObject({
      group: z.string().check(z.regex(/^[^/+#]{1,64}$/)),
      broker: z.optional(brokerOptions),
    }),
  ),
  accelerator: z._default(z.nullable(z.strictObject({ address: text, profile: text })), null),
  serve: z._default(
    z.nullable(
      z.strictObject({ socket: z.optional(text), port: z.optional(z.int().check(z.minimum(0), z.maximum(65_535))) }),
    ),
    null,
  ),
  reservoir: z._default(z.strictObject({ samples: z.int().check(z.minimum(0), z.maximum(4096)) }), { samples: 0 }),
  health: z._default(z.strictObject({ intervalSeconds: z.number().check(z.minimum(0.1), z.maximum(86_400)) }), {
    intervalSeconds: 60,
  }),
  log: z._default(z.strictObject({ level: z.enum(logLevels) }), { level: "info" }),
});

/** `where` names the file in errors. @throws Failure config/invalid: the path in it, what was expected, what was found */
export function parseConfig(json: string, where: string): Config {
  const value = parseJson(json, where, "config/invalid");
  const parsed = config.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Failure("config/invalid", `${where}: ${describeIssues("config", value, parsed.error.issues)}`, { where });
}

/** @throws Failure config/invalid */
export async function loadConfig(path: string): Promise<Config> {
  const json = await readFile(path, "utf8").catch((error: unknown) => {
    throw new Failure("config/invalid", `${path}: can't be read: ${messageOf(error)}`, { path }, error);
  });
  return parseConfig(json, path);
}
