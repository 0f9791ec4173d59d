import { topics } from "../../runtime/fleet/topics.ts";
import { FLEET_USER, HOME_ASSISTANT_USER } from "./mosquitto.ts";

/**
 * A configuration of nats-server (2.9 and later) for a fleet: its MQTT side speaks 3.1.1 over TLS, and a client is who
 * its certificate says. To be clustered, it needs `cluster` and a `server_name` for each machine.
 */
export function natsConfig(folder: string, port: number, name: string): string {
  return `# polaredge: MQTT 3.1.1 over TLS, a certificate for each client, its common name is the user.
server_name: ${name}
listen: 127.0.0.1:-1
jetstream { store_dir: "${folder}/nats" }
mqtt {
  port: ${port}
  tls {
    cert_file: "${folder}/${name}.crt"
    key_file: "${folder}/${name}.key"
    ca_file: "${folder}/ca.crt"
    verify_and_map: true
  }
}
# One entry for each certificate; after a new one: nats-server --signal reload
authorization { include "nats-users.conf" }
`;
}

/** Who may say and hear what. NATS knows no patterns of users, so each device has its own lines. */
export function natsUsers(names: readonly string[]): string {
  return `users: [\n${names.map((name) => `  ${userOf(name)}\n`).join("")}]\n`;
}

function userOf(name: string): string {
  const { publish, subscribe } = name === FLEET_USER ? fleet : name === HOME_ASSISTANT_USER ? home : device(name);
  const list = (topics: readonly string[]): string => JSON.stringify(topics.map(subject));
  const reads = [...subscribe, "$MQTT/sub/#"];
  return `{ user: "CN=${name}", permissions: { publish: ${list(publish)}, subscribe: ${list(reads)} } }`;
}

interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const fleet: Rights = { publish: ["polaredge/#"], subscribe: ["polaredge/#"] };
const home: Rights = {
  publish: ["recalibrate", "approve"].map((name) => `polaredge/v1/+/cmd/${name}`),
  subscribe: ["homeassistant/#", ...["online", "state", "job/update"].map((name) => `polaredge/v1/+/${name}`)],
};

function device(name: string): Rights {
  const from = (who: "device" | "fleet"): string[] =>
    Object.entries(topics)
      .filter(([, spec]) => spec.from === who)
      .map(([topic]) => `polaredge/v1/${name}/${topic}`);
  return { publish: [...from("device"), `homeassistant/device/${name}/config`], subscribe: from("fleet") };
}

/** How NATS calls a topic (https://docs.nats.io/running-a-nats-service/configuration/mqtt#topics). */
function subject(topic: string): string {
  return topic.replaceAll("/", ".").replaceAll("+", "*").replaceAll("#", ">");
}
