import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { decodeSamples, isStatistics } from "../../runtime/polarize/statistics.ts";
import { disk } from "../../runtime/store/disk.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { parseEnvelope } from "../../runtime/trust/envelope.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { keys, release, revoke, sign, verify } from "../../tools/fleet/commands.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { rejection } from "../support/until.ts";

const test = suite("fleet signing");
const work = await mkdtemp(join(tmpdir(), "polaredge-signing-"));
test.after(() => rm(work, { recursive: true }));
const folder = join(work, "operator");
const published = { root: join(folder, "root.json"), repository: join(folder, "repository") };
const fixed = { folder, index: 3, minAgreement: 90, trialSeconds: 1, trialPasses: 2 };

test("an operator's day: keys, a release, an assignment, a look at all of it, a new key, a revocation", async () => {
  assert.match(await keys({ folder, rootKeys: 3, threshold: 2 }), /root\.json: enrol devices/);
  for (const name of ["model.onnx", "calibration.npy", "probes.npy"]) await writeFile(join(work, name), name);
  const samples = { calibration: join(work, "calibration.npy"), probes: join(work, "probes.npy") };
  const made = await release(join(work, "model.onnx"), { ...fixed, ...samples, name: "kws", version: "1.4.0" });
  assert.is(made.target, "releases/kws-1.4.0.json");
  const again = release(join(work, "model.onnx"), { ...fixed, ...samples, name: "kws", version: "1.4.0" });
  assert.ok(isFailure(await rejection(again), "input/malformed"), "a release never changes");

  const assignment = { v: 1, jobId: "j", seq: 1, device: "pi-1", action: "install", release: made };
  await writeFile(join(work, "job.json"), JSON.stringify(assignment));
  const { payload } = parseEnvelope(Buffer.from(await sign(join(work, "job.json"), { folder })));
  assert.equal(JSON.parse(Buffer.from(payload, "base64").toString()), assignment);

  await keys({ folder, rootKeys: 1, threshold: 1, rotate: "root" });
  await keys({ folder, rootKeys: 1, threshold: 1, renew: true });
  const report = JSON.parse(await verify({ ...published, json: true }));
  assert.equal(report.releases, [made]);
  assert.equal(
    report.roles.map(({ role, version }: { role: string; version: number }) => [role, version]),
    [
      ["root", 2],
      ["targets", 1],
      ["releases", 2],
      ["snapshot", 4],
      ["timestamp", 4],
    ],
  );
  await revoke("kws", "1.4.0", { folder });
  assert.equal(JSON.parse(await verify({ ...published, json: true })).releases, []);
});

test("releases that are signed at once are all listed, and what a crash has left of one is not taken for another", async () => {
  const at = join(work, "busy");
  await keys({ folder: at, rootKeys: 1, threshold: 1 });
  const files = { model: Buffer.from("m"), calibration: Buffer.from("c"), probes: Buffer.from("p") };
  const accept = { minAgreementPct: 90 };
  const trial = { passes: 1, seconds: 1, minInferences: 0 };
  const one = async (version: string): Promise<void> => {
    const draft = { name: "kws", version, rollbackIndex: 0, requires: {}, accept, trial, files };
    await (await Repository.open(disk, at)).release(draft, Date.now());
  };
  await Promise.all(["1.0.0", "1.1.0", "1.2.0", "1.3.0"].map(one));
  assert.is((await Repository.open(disk, at)).releases.length, 4);
  const metadata = join(at, "repository", "metadata");
  await writeFile(join(metadata, "6.releases.json"), await readFile(join(metadata, "5.releases.json")));
  await one("1.4.0");
  const { releases } = JSON.parse(
    await verify({ root: join(at, "root.json"), repository: join(at, "repository"), json: true }),
  );
  assert.is(releases.length, 5);
});

test("statistics are published instead of the samples that they are of", async () => {
  const inputs = join(work, "x.npy");
  await writeFile(inputs, encodeNpy(bearingSamples(16, 3).inputs));
  const options = {
    ...fixed,
    calibration: inputs,
    probes: inputs,
    statistics: true,
    name: "bearing",
    version: "1.0.0",
  };
  const { target } = await release(releaseFile("1.0.0").pathname, options);
  const { calibration } = await (await Repository.open(disk, folder)).manifest(target);
  const blob = await readFile(join(published.repository, "blobs", calibration.sha256));
  assert.ok(isStatistics(decodeSamples(blob, "calibration")));
});

test("what is wrong is said, and nothing is written", async () => {
  const wrong: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => keys({ folder, rootKeys: 1, threshold: 1 }), "input/malformed"],
    [() => keys({ folder: join(work, "new"), rootKeys: 1, threshold: 2 }), "input/malformed"],
    [() => keys({ folder, rootKeys: 1, threshold: 1, rotate: "boss" }), "input/malformed"],
    [() => revoke("kws", "9", { folder }), "input/missing"],
    [() => sign(join(work, "nowhere.json"), { folder }), "input/missing"],
    [() => sign(join(work, "job.json"), { folder: join(work, "empty") }), "input/missing"],
    [() => verify({ ...published, root: join(work, "job.json") }), "trust/malformed"],
  ];
  for (const [action, code] of wrong) assert.ok(isFailure(await rejection(action()), code as "input/missing"), code);
});

test.run();
