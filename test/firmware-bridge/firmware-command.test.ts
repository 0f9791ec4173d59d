import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeImage } from "../../firmware-bridge/management/image.ts";

const test = suite("firmware command");
const folder = await mkdtemp(join(tmpdir(), "polaredge-firmware-command-"));
const program = Uint8Array.from({ length: 30_000 }, (_, i) => (i * 37) & 0xff);
const imageFor = (board: string): Uint8Array => makeImage({ version: "1.2.3", board, program });
test.after(() => rm(folder, { recursive: true }));

/** `polaredge firmware ...` */
function firmware(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "tools/cli.ts", "firmware", ...args],
    { encoding: "utf8" },
  );
  return { code: status, out: stdout, error: stderr };
}

test("the command line updates a device, tells its images, and says what is wrong", async () => {
  const address = "emulator:sram-bitplane-64x64";
  const [good, foreign, damaged] = ["good", "foreign", "damaged"].map((name) => join(folder, `${name}.bin`));
  await writeFile(good, imageFor("emulator"));
  await writeFile(foreign, imageFor("host"));
  await writeFile(damaged, program);
  const { code, out } = firmware("update", address, good, "--json");
  assert.is(code, 0);
  const { from, to, resumedAt, weak } = JSON.parse(out);
  assert.equal(
    { from, to, resumedAt, weak },
    { from: "0.0.1", to: "1.2.3", resumedAt: 0, weak: { before: 0, after: 0 } },
  );
  assert.match(firmware("update", address, good).out, /^0\.0\.1 -> 1\.2\.3, confirmed; 30,\d+ bytes sent, /);
  assert.match(firmware("state", address).out, /0 +0\.0\.1 +[0-9a-f]{16} +runs, confirmed/);
  assert.is(JSON.parse(firmware("state", address, "--json").out).images.length, 1);
  for (const [file, says] of [
    [foreign, "firmware/wrong-board"],
    [damaged, "firmware/damaged"],
    [join(folder, "none.bin"), "input/missing"],
  ]) {
    const wrong = firmware("update", address, file);
    assert.ok(wrong.error.includes(says) && wrong.out === "" && wrong.code !== 0, wrong.error);
  }
});

test.run();
