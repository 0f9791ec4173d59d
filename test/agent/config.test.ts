import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { openLog, redacted } from "../../runtime/base/log.ts";
import { loadConfig, parseConfig } from "../../runtime/config.ts";
import { rejection } from "../support/until.ts";

const test = suite("config");
const least = {
  device: { id: "pi-1", profile: "raspberry-pi-4" },
  store: { path: "/var/lib/polaredge" },
  trust: null,
  broker: { url: "mqtts://broker:8883", username: "pi-1", password: "hunter2" },
};

test("the README's configuration is one", () => {
  const [, json = ""] = /```json\n(\{\n {2}"device"[^`]*)```/.exec(readFileSync("README.md", "utf8")) ?? [];
  assert.is(parseConfig(json, "README.md").device.id, "press-17");
});

test("what is left out has a default", () => {
  assert.equal(parseConfig(JSON.stringify(least), "c.json"), {
    ...least,
    accelerator: null,
    serve: null,
    reservoir: { samples: 0 },
    health: { intervalSeconds: 60 },
    log: { level: "info" },
  });
  assert.is(parseConfig(JSON.stringify({ ...least, broker: null }), "c.json").broker, null);
});

const wrong: readonly (readonly [unknown, RegExp])[] = [
  [{}, /config\.device: expected object, found nothing/],
  [{ ...least, device: { ...least.device, id: "pi 1" } }, /config\.device\.id: expected text like .*, found "pi 1"/],
  [
    { ...least, broker: { url: "http://x" } },
    /config\.broker\.url: expected a URL with a protocol like .*mqtts.*, found "http:\/\/x"/,
  ],
  [{ ...least, broker: { url: "ftp://me:hunter2@x" } }, /found "ftp:\/\/\*\*\*@x"/],
  [{ ...least, broker: { ...least.broker, password: 7 } }, /config\.broker\.password: expected string, found "\*\*\*"/],
  [{ ...least, reservoir: { samples: -1 } }, /config\.reservoir\.samples: expected at least 0, found -1/],
  [{ ...least, health: { intervalSeconds: 1e9 } }, /config\.health\.intervalSeconds: expected at most 86400/],
  [{ ...least, log: { level: "loud" } }, /config\.log\.level: expected "silent" or "error".*found "loud"/],
  [{ ...least, acelerator: null }, /config: expected no such key as acelerator/],
  [
    { ...least, accelerator: { address: "" } },
    /accelerator\.address: expected at least 1 characters, found "".*profile/,
  ],
  [[], /config: expected object, found \[\]/],
];

for (const [config, says] of wrong) {
  test(`a mistake is found: ${says.source.slice(0, 60)}`, () => {
    try {
      parseConfig(JSON.stringify(config), "c.json");
      assert.unreachable();
    } catch (error) {
      assert.ok(isFailure(error, "config/invalid"), String(error));
      assert.match(error.message, says);
      assert.match(error.message, /^c\.json: /);
      assert.not.match(error.message, /hunter2/);
    }
  });
}

test("a file that is no JSON, or not there, says where", async () => {
  assert.throws(
    () => parseConfig('{\n "device": }', "c.json"),
    (error: Error) => /c\.json, line 2, column 12/.test(error.message),
  );
  const error = await rejection(loadConfig("/nowhere/c.json"));
  assert.ok(isFailure(error, "config/invalid"));
  assert.match(error.message, /nowhere/);
});

test("the log writes one object per line, and no secrets", async () => {
  const lines: string[] = [];
  const log = await openLog("info", (line) => lines.push(line));
  log.debug("not this");
  log.info("connected", { url: "mqtt://me:hunter2@broker", broker: least.broker, data: new Uint8Array(5) });
  log.error("failed", { error: new Failure("bridge/open", "no such port: mqtt://u:hunter2@x") });
  const [first, second] = lines.map((line) => JSON.parse(line));
  assert.is(lines.length, 2);
  assert.not.match(lines.join(""), /hunter2/);
  assert.equal([first.msg, first.url, first.data], ["connected", "mqtt://***@broker", "5 bytes"]);
  assert.equal([second.error.code, second.level], ["bridge/open", 50]);
});

test("secrets are hidden by name at any depth, and cycles end", () => {
  const cycle: Record<string, unknown> = { apiToken: "x", keepalive: 3 };
  cycle.self = cycle;
  const hidden = redacted({ a: [{ privateKey: "x", password: "y" }], cycle });
  assert.equal(hidden.a, [{ privateKey: "***", password: "***" }]);
  assert.match(JSON.stringify(hidden), /"keepalive":3/);
});

test.run();
