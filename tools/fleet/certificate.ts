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
}

/** `polaredge fleet ca`. @throws Failure input/malformed, input/missing */
export async function certificate(name: string, { folder, host, port }: CertificateOptions): Promise<string> {
  if (!deviceId.safeParse(name).success) {
    throw new Failure("input/malformed", `name: expected letters, digits, - and _, at most 64, found ${name}`);
  }
  const path = resolve(folder);
  const authority = await Authority.open(path);
  await authority.issue(name, host?.split(","));
  await writeFile(authority.path("nats-users.conf"), natsUsers(await authority.names()));
  const issued = `${authority.path(`${name}.crt`)}, ${authority.path(`${name}.key`)}`;
  if (host === undefined) return issued;
  await writeFile(authority.path("mosquitto.conf"), mosquittoConfig(path, port, name));
  await writeFile(authority.path("acl"), mosquittoAcl());
  await writeFile(authority.path("nats.conf"), natsConfig(path, port, name));
  return `${issued}\nmosquitto -c ${authority.path("mosquitto.conf")}\nnats-server -c ${authority.path("nats.conf")}`;
}
