import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import { deviceId } from "../../runtime/fleet/jobs.ts";
import { Authority } from "./authority.ts";
import { mosquittoAcl, mosquittoConfig } from "./mosquitto.ts";
import { natsConfig, natsUsers } from "./nats.ts";

export interface CertificateOptions {
  readonly folder: string;
  readonly host?: string;
  readonly port: number;
  readonly json?: boolean;
}

/** `polaredge fleet ca`. @throws Failure input/malformed, input/missing */
export async function certificate(name: string, { folder, host, port, json }: CertificateOptions): Promise<string> {
  if (!deviceId.safeParse(name).success) {
    throw new Failure("input/malformed", `name: expected letters, digits, - and _, at most 64, found ${name}`);
  }
  const path = resolve(folder);
  const authority = await Authority.open(path);
  await authority.issue(name, host?.split(","));
  await writeFile(authority.path("nats-users.conf"), natsUsers(await authority.names()));
  const issued = { certificate: authority.path(`${name}.crt`), key: authority.path(`${name}.key`) };
  if (host === undefined) return json ? JSON.stringify(issued) : `${issued.certificate}, ${issued.key}`;
  const brokers = { mosquitto: authority.path("mosquitto.conf"), nats: authority.path("nats.conf") };
  await writeFile(brokers.mosquitto, mosquittoConfig(path, port, name));
  await writeFile(authority.path("acl"), mosquittoAcl());
  await writeFile(brokers.nats, natsConfig(path, port, name));
  if (json) return JSON.stringify({ ...issued, ...brokers });
  return `${issued.certificate}, ${issued.key}\nmosquitto -c ${brokers.mosquitto}\nnats-server -c ${brokers.nats}`;
}
