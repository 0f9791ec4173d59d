import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";

const test = suite("cli");

const folder = mkdtempSync(join(tmpdir(), "polaredge-cli-"));
const model = releaseFile("1.0.0").pathname;
const { inputs, labels } = bearingSamples(40, 4);
const x = write("x.npy", encodeNpy(inputs));
const y = write("y.npy", encodeNpy({ shape: [40], data: Float32Array.from(labels) }, "u1"));
const profile = JSON.parse(readFileSync("device-profiles/raspberry-pi-4.json", "utf8"));

function write(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function polaredge(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "tools/cli.ts", ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { code: status, out: stdout, error: stderr };
}

const onnx = readFileSync(model);
const damagedOnnx = Uint8Array.from(onnx);
damagedOnnx.fill(0xff, 200, 260);

/** What is wrong, the command line, and what the message must name. */
const bad: [what: string, args: string[], says: RegExp][] = [
  ["no command that exists", ["evaluate"], /unknown command/],
  ["a missing option", ["eval", model], /--inputs/],
  ["a rank that is no number", ["eval", model, "--inputs", x, "--rank", "many"], /whole number/],
  ["a model that is not there", ["inspect", join(folder, "none.onnx")], /none\.onnx/],
  ["a model cut short", ["inspect", write("cut.onnx", onnx.subarray(0, 5000))], /cut\.onnx|ends|truncated|beyond/],
  ["a damaged model", ["inspect", write("damaged.onnx", damagedOnnx)], /damaged\.onnx/],
  ["a model of no known format", ["inspect", write("text.onnx", "this is no model")], /text\.onnx/],
  ["inputs that are no array", ["eval", model, "--inputs", write("x.txt", "1, 2, 3")], /x\.txt/],
  [
    "inputs of another shape",
    ["eval", model, "--inputs", write("s.npy", encodeNpy({ shape: [4, 3], data: new Float32Array(12) }))],
    /\[4, 3\].*16, 32/,
  ],
  [
    "too few labels",
    [
      "eval",
      model,
      "--inputs",
      x,
      "--labels",
      write("l.npy", encodeNpy({ shape: [3], data: new Float32Array(3) }, "u1")),
    ],
    /3 labels for 40/,
  ],
  ["nothing left to measure", ["eval", model, "--inputs", x, "--samples", "40"], /none is left/],
  ["a format that does not exist", ["eval", model, "--inputs", x, "--format", "int5"], /int5.*nf4/],
  ["a profile that does not exist", ["eval", model, "--inputs", x, "--profile", "raspberry-pi-9"], /raspberry-pi-9/],
  [
    "a device that is too small",
    [
      "eval",
      model,
      "--inputs",
      x,
      "--profile",
      write("tiny.json", JSON.stringify({ ...profile, memory: { ...profile.memory, arenaBytes: 1024 } })),
    ],
    /activations need .* has 1\.0 KiB/,
  ],
  [
    "a profile with a wrong field",
    ["profile", "check", write("bad.json", JSON.stringify({ ...profile, surrogate: { rank: -1 } }))],
    /surrogate\.rank/,
  ],
  ["a profile that is no JSON", ["profile", "check", write("broken.json", '{ "kind": "device",')], /broken\.json/],
  ["an age that is none", ["eval", model, "--inputs", x, "--accelerator", "ideal", "--age", "old"], /old/],
  ["a configuration that is not there", ["run", "--config", join(folder, "none.json")], /none\.json/],
  [
    "a configuration with a wrong field",
    ["run", "--config", write("config.json", '{"device": {"id": "a b"}}')],
    /device/,
  ],
];

for (const [what, args, says] of bad) {
  test(`${what}: exit code 2, a message that says so, nothing on standard output, nothing written`, () => {
    const before = readdirSync(folder);
    const { code, out, error } = polaredge(...args);
    assert.is(code, 2, error);
    assert.match(`${out}${error}`, says);
    assert.not.match(error, /\n\s+at /, "a stack trace is for programmers");
    assert.equal(readdirSync(folder), before);
  });
}

test("eval prints a report for machines", () => {
  const { code, out, error } = polaredge("eval", model, "--inputs", x, "--labels", y, "--format", "nf4", "--json");
  assert.is(code, 0, error);
  const report = JSON.parse(out);
  assert.is(report.measured, 8);
  assert.is(report.calibrationSamples, 32);
  assert.ok(report.corrected.agreement >= report.quantized.agreement);
  assert.ok(report.bitsPerWeight > 4 && report.bitsPerWeight < 8);
  assert.is(report.analog, null);
});

test("inspect and profile list print tables for people", () => {
  assert.match(polaredge("inspect", model).out, /parameters, .* MACs/);
  assert.match(polaredge("profile", "list").out, /raspberry-pi-zero-2w/);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
