import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { disk } from "../../runtime/store/disk.ts";
import { ArtifactServer } from "../../tools/demo/artifacts.ts";
import { examine } from "../../tools/device/doctor.ts";
import { Artifacts } from "../../tools/fleet/artifacts.ts";
import { connectTo } from "../../tools/fleet/connect.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { Broker } from "../support/broker.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";

const test = suite("doctor");
const work = await mkdtemp(join(tmpdir(), "polaredge-doctor-"));
const path = join(work, "polaredge.json");
test.after(() => rm(work, { recursive: true }));

async function verdicts(change: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, string>>> {
  const least = { device: { id: "pi-1", profile: "raspberry-pi-4" }, store: { path: join(work, "store") } };
  await writeFile(path, JSON.stringify({ ...least, trust: null, broker: null, ...change }));
  const findings = await examine(path);
  return Object.fromEntries(
    findings.map(({ what, good, found, advice }) => [what, good ? found : `${found}; ${advice}`]),
  );
}

test("what is missing is named, with what to do about it", async () => {
  const {
    accelerator,
    trust,
    broker,
    disk: store,
  } = await verdicts({
    store: { path: join(path, "below a file") },
    accelerator: { address: "/dev/serial/by-id/none", profile: "sram-bitplane-64x64" },
    trust: { root: path, repository: "http://127.0.0.1:1/" },
    broker: { url: "mqtt://127.0.0.1:1" },
  });
  assert.match(accelerator, /nothing; .*dialout/);
  assert.match(trust, /root: .*operator's root\.json/);
  assert.match(broker, /ECONNREFUSED.*ACL/);
  assert.match(store, /can't be used as the store.*store\.path/);
});

test("an accelerator is asked for its self-test", async () => {
  const address = "emulator:sram-bitplane-64x64?seed=3";
  const { accelerator } = await verdicts({ accelerator: { address, profile: "sram-bitplane-64x64" } });
  assert.match(accelerator, /chip [0-9a-f]{16}, 0 of \d+ groups of cells weak, dead columns: none$/);
});

test("a device that has all it needs is well", async () => {
  const folder = join(work, "operator");
  await disk.makeFolder(folder);
  await Repository.create(disk, folder, Date.now(), { count: 1, threshold: 1 });
  const server = await ArtifactServer.start(join(folder, "repository"));
  const { trust, clock } = await verdicts({ trust: { root: join(folder, "root.json"), repository: server.url } });
  await server.stop();
  assert.match(trust, /^valid until 20/);
  assert.match(clock, /^20/);
});

test("a device that reaches only its broker is told whether somebody answers there", async () => {
  const folder = join(work, "by-mqtt");
  await disk.makeFolder(folder);
  await Repository.create(disk, folder, Date.now(), { count: 1, threshold: 1 });
  const broker = await Broker.start("pi-1");
  const change = { trust: { root: join(folder, "root.json"), repository: "mqtt:" }, broker: { url: broker.url } };
  assert.match((await verdicts(change)).trust, /nobody at the broker answers/);
  const operator = await connectTo({ url: broker.url });
  await Artifacts.serve(operator, disk, join(folder, "repository"));
  assert.match((await verdicts(change)).trust, /^valid until 20/);
  await operator.endAsync(true);
  await broker.stop();
  assert.match((await verdicts({ ...change, broker: null })).trust, /needs a broker/);
});

if (isHere()) {
  test("at a real broker it sees whether the ACL is in order", async () => {
    const broker = await RealBroker.start(["pi-1", "pi-2"]);
    const at = (name: string): Promise<Readonly<Record<string, string>>> =>
      verdicts({ broker: { url: broker.url, tls: broker.tls(name) } });
    assert.is((await at("pi-1")).broker, "connected, ACL in order");
    assert.match((await at("pi-2")).broker, /does not let this device write/);
    await broker.stop();
  });
}

test("a broker that speaks 3.1.1 only is no illness", async () => {
  const broker = await Broker.start("pi-1");
  const found = await verdicts({ broker: { url: broker.url } });
  await broker.stop();
  assert.match(found.broker, /^connected; MQTT 3\.1\.1/);
});

test.run();
