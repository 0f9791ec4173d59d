import { suite } from "uvu";
import * as assert from "uvu/assert";
import { digitalAbovePct } from "../../device-profiles/device.ts";
import {
  loadAcceleratorProfile,
  loadProfile,
  type Profile,
  parseAnyProfile,
  parseProfile,
  profileNames,
  readProfile,
  withoutSource,
  withoutValue,
} from "../../device-profiles/profiles.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { checkProfile, listProfiles } from "../../tools/device/profile.ts";

const test = suite("profiles");

const devices = await profileNames("device");
const accelerators = await profileNames("accelerator");
const shipped: Profile[] = await Promise.all([
  ...devices.map(loadProfile),
  ...accelerators.map(loadAcceleratorProfile),
]);
const pi4 = await readProfile("raspberry-pi-4");

test("the profiles that the documentation promises are there", () => {
  assert.equal(devices, [
    "cortex-m7-256k",
    "cortex-m7-512k",
    "raspberry-pi-3",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "raspberry-pi-zero-2w",
  ]);
  assert.equal(accelerators, [
    "ideal",
    "pcm-256x256",
    "reram-256x256",
    "sram-bitplane-128x64",
    "sram-bitplane-256x64",
    "sram-bitplane-64x64-8bit",
    "sram-bitplane-64x64",
  ]);
});

for (const profile of shipped) {
  test(`${profile.name}: each number has a source and each source a number`, () => {
    assert.equal(withoutSource(profile), []);
    assert.equal(withoutValue(profile), []);
  });

  test(`${profile.name}: is named as its file`, async () => {
    assert.equal(parseAnyProfile(await readProfile(profile.name), "x"), profile);
  });
}

test("a source covers what is below its path, and not what only begins alike", () => {
  const profile = parseProfile(
    changed({ sources: { mem: "", "memory.arenaBytes": "", "cpu.gpu": "", drift: "" } }),
    "x",
  );
  assert.equal(withoutSource(profile).slice(0, 4), [
    "cpu.cores",
    "cpu.clockMhz",
    "memory.totalBytes",
    "memory.weightBytes",
  ]);
  assert.not(withoutSource(profile).some((path) => path.startsWith("drift") || path === "memory.arenaBytes"));
  assert.equal(withoutValue(profile), ["mem", "cpu.gpu"]);
});

test("layers go back to digital above what the profile says, or what its agreement makes of it", () => {
  assert.is(digitalAbovePct({ recalibrateBelowPct: 75 }), 50);
  assert.ok(Math.abs(digitalAbovePct({ recalibrateBelowPct: 90 }) - 31.6) < 0.05);
  assert.is(digitalAbovePct({ recalibrateBelowPct: 90, digitalAbovePct: 0 }), 0);
});

/** raspberry-pi-4.json with other values at the top level. */
function changed(changes: Record<string, unknown>): string {
  return JSON.stringify({ ...JSON.parse(pi4), ...changes });
}

const memory = { totalBytes: 1000, weightBytes: 600, arenaBytes: 300 };
const drift = { checkSeconds: 60, recalibrateBelowPct: 90, healthyAbovePct: 95 };
const invalid: readonly (readonly [string, string, readonly string[]])[] = [
  ["a wrong type", changed({ surrogate: { rank: "8" } }), ['profile.surrogate.rank: expected number, found "8"']],
  ["an unknown word", changed({ kind: "toaster" }), ['profile.kind: expected "device", found "toaster"']],
  ["a missing part", changed({ memory: undefined }), ["profile.memory: expected object, found nothing"]],
  ["an unknown part", changed({ colour: "red" }), ["profile: expected no such key as colour, found it"]],
  [
    "a number out of range",
    changed({ surrogate: { rank: 65 } }),
    ["profile.surrogate.rank: expected at most 64, found 65"],
  ],
  [
    "a path that costs more than its layer",
    changed({ surrogate: { rank: 8, driftedMacsPct: 101 } }),
    ["profile.surrogate.driftedMacsPct: expected at most 100, found 101"],
  ],
  [
    "a distillation of no steps that can be counted",
    changed({ surrogate: { rank: 8, distillSteps: 0.5 } }),
    ["profile.surrogate.distillSteps: expected int, found 0.5"],
  ],
  [
    "a layer's error that is none",
    changed({ drift: { ...drift, digitalAbovePct: -1 } }),
    ["profile.drift.digitalAbovePct: expected at least 0, found -1"],
  ],
  [
    "all problems at once",
    changed({ name: "Pi 4", memory: { ...memory, arenaBytes: 0 } }),
    [
      'profile.name: expected text like /^[a-z0-9][a-z0-9-]{0,63}$/, found "Pi 4"',
      "profile.memory.arenaBytes: expected more than 0, found 0",
    ],
  ],
  [
    "budgets beyond the memory",
    changed({ memory: { ...memory, weightBytes: 800 } }),
    ["profile.memory: expected weightBytes + arenaBytes of at most totalBytes 1000, found 1100"],
  ],
  [
    "thresholds in the wrong order",
    changed({ drift: { ...drift, healthyAbovePct: 80 } }),
    ["profile.drift.healthyAbovePct: expected at least recalibrateBelowPct 90, found 80"],
  ],
  [
    "a budget of energy without a model of it",
    changed({ energy: undefined, quantization: { ...JSON.parse(pi4).quantization, budget: { microjoules: 5 } } }),
    ["profile.energy: expected with a budget of microjoules, found nothing"],
  ],
  ["no object", "[1, 2]", ["profile: expected object, found [1,2]"]],
  ["nothing", "null", ["profile: expected object, found null"]],
];
for (const [what, text, problems] of invalid) {
  test(`refuses ${what} and says so`, () => {
    const failure = failureOf(() => parseProfile(text, "my.json"));
    assert.equal(failure.detail.problems, problems);
    assert.is(failure.message, `my.json: ${problems.join("; ")}`);
  });
}

const broken: readonly (readonly [string, string, string])[] = [
  ["", "line 1, column 1", "expected a value, found the end"],
  ['{\n  "name": "x",\n}', "line 3, column 1", 'expected a key in "quotes", found "}"'],
  ['{ "a": 1\n  "b": 2 }', "line 2, column 3", "expected a comma or }, found"],
  ["{ 'a': 1 }", "line 1, column 3", 'expected a key in "quotes" or }'],
  ['{"a" 1}', "line 1, column 6", "expected a colon"],
  ['{"a": 01}', "line 1, column 7", "expected a value"],
  ['{"a": NaN}', "line 1, column 7", "expected a value"],
  ['{"a": "x\ny"}', "line 1, column 7", "expected a value"],
  ['{"a": "\\q"}', "line 1, column 7", "expected a value"],
  ["[1, 2", "line 1, column 6", "expected a comma or ], found the end"],
  ["[1, ]", "line 1, column 5", "expected a value"],
  ["{} // done", "line 1, column 4", "expected the end"],
  [`${"[".repeat(100_000)}`, "line 1, column 100001", "expected a value or ]"],
  [`{"a": "${"x".repeat(1_000_000)}`, "line 1, column 7", "expected a value"],
];
for (const [text, place, problem] of broken) {
  test(`names the place where this is no JSON: ${JSON.stringify(text.slice(0, 30))}`, () => {
    const { message } = failureOf(() => parseProfile(text, "my.json"));
    assert.ok(message.startsWith(`my.json, ${place}: not JSON: ${problem}`), message);
  });
}

function failureOf(action: () => unknown): Failure {
  try {
    action();
  } catch (error) {
    if (isFailure(error, "profile/invalid")) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

for (const [name, code, message] of [
  [
    "raspberry-pi-9",
    "profile/unknown",
    /no profile raspberry-pi-9: use one of cortex-m7-256k, .*raspberry-pi-zero-2w, or a path/,
  ],
  ["./no/such.json", "input/missing", /cannot read \.\/no\/such\.json/],
  ["ideal", "profile/invalid", /profile\.kind: expected "device", found "accelerator"/],
] as const) {
  test(`there is no device profile ${name}`, async () => {
    const error = await loadProfile(name).catch((reason: unknown) => reason);
    assert.ok(error instanceof Failure);
    assert.is(error.code, code);
    assert.match(error.message, message);
  });
}

async function printed(command: (print: (text: string) => void) => Promise<number>): Promise<[number, string]> {
  const lines: string[] = [];
  const code = await command((text) => lines.push(text));
  return [code, lines.join("\n")];
}

test("profile check: a good one exits with 0, a bad one with 2", async () => {
  assert.equal(await printed((print) => checkProfile("ideal", {}, print)), [0, "ideal: a valid accelerator profile"]);
  const [code, text] = await printed((print) => checkProfile("package.json", {}, print));
  assert.is(code, 2);
  assert.match(text, /^package\.json: not a usable profile\n {2}profile\.kind: expected "device", found nothing\n/);
});

test("profile check --json", async () => {
  const [code, text] = await printed((print) => checkProfile("no-such", { json: true }, print));
  const verdict = JSON.parse(text);
  assert.is(code, 2);
  assert.equal([verdict.file, verdict.kind, verdict.problems.length, verdict.notes], ["no-such", null, 1, []]);
});

test("profile list names them all", async () => {
  const [, text] = await printed((print) => listProfiles({}, print));
  for (const { name } of shipped) assert.match(text, new RegExp(`^${name} `, "m"));
  const [, json] = await printed((print) => listProfiles({ json: true }, print));
  assert.equal(JSON.parse(json).devices.length, devices.length);
});

test.run();
