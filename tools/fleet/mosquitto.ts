import { topics } from "../../runtime/fleet/topics.ts";

/** Of whom the broker's certificate authority says that he runs the fleet, or is Home Assistant. */
export const FLEET_USER = "fleet";
export const HOME_ASSISTANT_USER = "homeassistant";

/** A configuration of Mosquitto 2 for a fleet: TLS 1.3 only, and nobody without a certificate. */
export function mosquittoConfig(folder: string, port: number, name: string): string {
  return `# polaredge: TLS 1.3, a certificate for each client, its common name is the user of the ACL.
listener ${port}
cafile ${folder}/ca.crt
certfile ${folder}/${name}.crt
keyfile ${folder}/${name}.key
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file ${folder}/acl

# Without it every small answer waits for the one before (Nagle): 0.7 instead of 36 MB/s for blocks of 4 KiB.
set_tcp_nodelay true
# Retained goals and reports, and what waits for devices that are away, outlive a restart.
persistence true
persistence_location ${folder}/
autosave_interval 60
max_queued_messages 1000
message_size_limit 262144
`;
}

/** Who may say and hear what; from the table of topics, so that it can't fall behind. */
export function mosquittoAcl(): string {
  const own = Object.entries(topics).map(
    ([name, { from }]) => `pattern ${from === "device" ? "write" : "read"} polaredge/v1/%u/${name}`,
  );
  return `# A device: its own topics, each in one direction. It can't write its own goal.
${own.join("\n")}
pattern write homeassistant/device/%u/config
# Its edge node of Sparkplug B, if it has one.
pattern write spBv1.0/+/NBIRTH/%u
pattern write spBv1.0/+/NDATA/%u
pattern write spBv1.0/+/NDEATH/%u
pattern read spBv1.0/+/NCMD/%u

user ${FLEET_USER}
topic readwrite polaredge/v1/#
topic readwrite polaredge/fleet/#
topic readwrite spBv1.0/#

user ${HOME_ASSISTANT_USER}
topic read homeassistant/#
topic read polaredge/v1/+/online
topic read polaredge/v1/+/state
topic read polaredge/v1/+/job/update
topic write polaredge/v1/+/cmd/recalibrate
topic write polaredge/v1/+/cmd/approve
`;
}
