import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { topicOf } from "../../runtime/fleet/topics.ts";
import { Meter } from "../../runtime/health/meter.ts";
import { openServer } from "../../runtime/serve/server.ts";
import { Broker } from "../support/broker.ts";
import { well } from "../support/health.ts";
import { until } from "../support/until.ts";

/**
 * `npm run proof:node-red`: a real Node-RED, installed into a folder of its own (117 MB), runs the flow of
 * tools/integrations between a real broker and a real inference server: a device that is not well becomes one alert,
 * a sample becomes an answer.
 */
const NODE_RED = "node-red@4";

const folder = mkdtempSync(join(tmpdir(), "polaredge-node-red-"));
const broker = await Broker.start("pi-1");
const model = {
  name: "bearing",
  version: "1",
  input: { name: "x", shape: [1, 2, 2] },
  output: { name: "y", shape: [1, 2] },
};
const server = await openServer(
  { port: 0 },
  {
    meter: new Meter(),
    model: () => model,
    health: () => well,
    infer: async ([a = 0, b = 0, c = 0, d = 0]) => Float32Array.of(a + b, c + d),
  },
);

writeFileSync(join(folder, "package.json"), "{}");
console.log(`installing ${NODE_RED} ...`);
execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", NODE_RED], { cwd: folder });
const flow = readFileSync("tools/integrations/node-red-flow.json", "utf8")
  .replace('"port": "1883"', `"port": "${broker.port}"`)
  .replace("http://127.0.0.1:8090", `http://127.0.0.1:${server.port}`);
writeFileSync(join(folder, "flows.json"), flow);
const settings = { uiHost: "127.0.0.1", uiPort: 0, httpAdminRoot: false, disableEditor: true, flowFile: "flows.json" };
writeFileSync(join(folder, "settings.js"), `module.exports = ${JSON.stringify(settings)};`);

const command = ["node_modules/node-red/red.js", "--userDir", folder, "--settings", join(folder, "settings.js")];
const nodeRed = spawn(process.execPath, command, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
let said = "";
nodeRed.stdout.on("data", (part) => (said += part));
const client = await connectAsync(broker.url);
const heard: [topic: string, text: string][] = [];
client.on("message", (topic, payload) => heard.push([topic, String(payload)]));
await client.subscribeAsync(["alerts/#", "answers/#"]);
const lastOf = (topic: string): string | undefined => heard.filter(([at]) => at === topic).at(-1)?.[1];

try {
  await until("Node-RED's connection", () => said.includes("Connected to broker"), 60_000);
  const ill = { ...well, status: "degraded", reasons: ["drifting"] };
  for (const state of [well, well, ill, ill]) {
    await client.publishAsync(topicOf("pi-1", "state"), JSON.stringify(state), { qos: 1 });
  }
  await until("an alert", () => lastOf("alerts/polaredge/pi-1")?.includes("drifting") ?? false);
  await client.publishAsync("samples/left", "[1, 2, 3, 4]", { qos: 1 });
  await until("an answer", () => lastOf("answers/left") !== undefined);
  const alerts = heard.filter(([topic]) => topic.startsWith("alerts/")).length;
  const answer = lastOf("answers/left");
  const good = alerts === 2 && answer === '{"class":1,"outputs":[3,7]}';
  console.log(`node-red: ${alerts} alerts for two changes of health, and the answer ${answer}`);
  process.exitCode = good ? 0 : 1;
} catch (error) {
  console.log(said);
  throw error;
} finally {
  nodeRed.kill();
  await client.endAsync(true);
  await server.close();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
