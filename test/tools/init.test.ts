import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { loadConfig } from "../../runtime/config.ts";
import { init } from "../../tools/device/init.ts";
import { rejection } from "../support/until.ts";

const test = suite("init");
const folder = mkdtempSync(join(tmpdir(), "polaredge-init-"));
const path = (name: string): string => join(folder, name);

test("without a person it takes what was given and the proposals", async () => {
  const config = path("given.json");
  const broker = "mqtts://broker.example:8883";
  const written = await init({ config, id: "press-17", profile: "raspberry-pi-5", broker }, undefined);
  assert.is(readFileSync(config, "utf8"), written);
  const read = await loadConfig(config);
  assert.equal([read.device.id, read.device.profile, read.broker?.url], ["press-17", "raspberry-pi-5", broker]);
  assert.equal([read.trust, read.accelerator], [null, null]);
});

test("a person is asked what was not given, and what follows from the answers", async () => {
  const port = path("port");
  writeFileSync(port, "");
  const asked: string[] = [];
  const answers: Readonly<Record<string, string>> = { Repository: "https://releases.example/", Serial: port };
  await init({ config: path("asked.json"), id: "pi-1", broker: "mqtt://localhost" }, async (question, proposal) => {
    asked.push(question.split(" ")[0]);
    return answers[question.split(" ")[0]] ?? proposal;
  });
  assert.equal(asked, ["Device", "Repository", "root.json", "Serial", "Accelerator"]);
  const { trust, accelerator } = await loadConfig(path("asked.json"));
  assert.equal(trust, { root: "/etc/polaredge/root.json", repository: "https://releases.example/" });
  assert.equal(accelerator, { address: port, profile: "sram-bitplane-64x64" });
});

for (const [what, options, says] of [
  ["a profile that does not exist", { profile: "raspberry-pi-9" }, /raspberry-pi-9/],
  ["a port that is not there", { accelerator: "/dev/serial/by-id/none" }, /none is not there/],
  ["a name that is none", { id: "a b" }, /device\.id/],
  ["a broker that is no URL", { broker: "broker" }, /broker\.url/],
  ["a folder that is not there", { config: path("none/config.json") }, /can't be written/],
] as const) {
  test(`${what} is said, and nothing is written`, async () => {
    const config = path("refused.json");
    const error = await rejection(init({ config, ...options }, undefined));
    assert.ok(isFailure(error), String(error));
    assert.match(error.message, says);
    assert.ok(isFailure(await rejection(loadConfig(config))));
  });
}

test("what is there already is replaced only if that is said", async () => {
  const config = path("there.json");
  writeFileSync(config, "mine");
  assert.ok(isFailure(await rejection(init({ config }, undefined)), "config/invalid"));
  assert.is(readFileSync(config, "utf8"), "mine");
  await init({ config, force: true }, undefined);
  assert.is((await loadConfig(config)).store.path, "/var/lib/polaredge");
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
