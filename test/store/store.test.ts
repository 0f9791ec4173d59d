import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { canonical, sha256 } from "../../runtime/store/digest.ts";
import { disk } from "../../runtime/store/disk.ts";
import type { Files } from "../../runtime/store/files.ts";
import { Journal } from "../../runtime/store/journal.ts";
import { StateFile } from "../../runtime/store/state-file.ts";
import { Store } from "../../runtime/store/store.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { rejection } from "../support/until.ts";

const test = suite("store");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const recipe = { model: "m", unit: "digital" };

const folder = await mkdtemp(join(tmpdir(), "polaredge-store-"));
test.after(() => rm(folder, { recursive: true }));

const disks: readonly { readonly name: string; readonly files: () => Files; readonly root: string }[] = [
  { name: "memory", files: () => new MemoryDisk(), root: "/store" },
  { name: "real", files: () => disk, root: folder },
];

for (const { name, files, root } of disks) {
  test(`${name}: a blob in pieces gets its name when it is whole`, async () => {
    const store = await Store.open(files(), join(root, "pieces"));
    const data = bytes("a model in pieces");
    const ref = { sha256: sha256(data), bytes: data.length };
    const first = await store.blobs.part(ref);
    await first.append(data.slice(0, 5));
    const again = await store.blobs.part(ref);
    assert.is(again.length, 5);
    assert.not.ok(await store.blobs.has(ref.sha256));
    await again.append(data.slice(5));
    await again.finish();
    assert.equal([...(await store.blobs.read(ref.sha256))], [...data]);
  });

  test(`${name}: pieces of something else are refused and forgotten`, async () => {
    const store = await Store.open(files(), join(root, "wrong"));
    const part = await store.blobs.part({ sha256: sha256("expected"), bytes: 5 });
    assert.ok(isFailure(await rejection(part.append(bytes("too long"))), "download/too-large"));
    await part.append(bytes("wrong"));
    assert.ok(isFailure(await rejection(part.finish()), "download/digest-mismatch"));
    assert.is(part.length, 0);
  });

  test(`${name}: a derived model is found by its recipe`, async () => {
    const store = await Store.open(files(), join(root, "derived"));
    assert.is(await store.findDerived(recipe), undefined);
    const record = await store.writeDerived(recipe, bytes("polar"), bytes("answers"));
    assert.is(await store.findDerived({ unit: "digital", model: "m" }), record);
    const read = await store.readDerived(record);
    assert.equal([[...read.model], [...read.answers]], [[...bytes("polar")], [...bytes("answers")]]);
  });

  test(`${name}: collecting removes what nobody names, and nothing else`, async () => {
    const store = await Store.open(files(), join(root, "collect"));
    const [kept, dropped] = [await store.blobs.write(bytes("kept")), await store.blobs.write(bytes("dropped"))];
    const part = await store.blobs.part({ sha256: sha256("later"), bytes: 9 });
    await part.append(bytes("la"));
    const [used, unused] = [
      await store.writeDerived(recipe, bytes("used"), bytes("same")),
      await store.writeDerived({ model: "n" }, bytes("unused"), bytes("same")),
    ];
    await store.collect({ blobs: new Set([kept]), derived: new Set([used]) });
    assert.equal([await store.blobs.has(kept), await store.blobs.has(dropped)], [true, false]);
    assert.equal([...(await store.readDerived(used)).answers], [...bytes("same")]);
    assert.ok(isFailure(await rejection(store.readDerived(unused)), "store/corrupt"));
    assert.equal(await store.blobs.list(), [kept]);
  });

  test(`${name}: the state comes back, and its sequence rises`, async () => {
    const state = new StateFile(files(), root, "state");
    await state.load();
    for (const at of ["DOWNLOADING", "VERIFIED", "IDLE"]) await state.save({ at });
    assert.equal([await state.load(), state.sequence], [{ at: "IDLE" }, 3]);
  });
}

test("what is damaged on the disk is noticed", async () => {
  const files = new MemoryDisk();
  const store = await Store.open(files, "/store");
  const blob = await store.blobs.write(bytes("blob"));
  const derived = await store.writeDerived(recipe, bytes("polar"), bytes("answers"));
  files.corrupt(blob);
  files.corrupt(sha256("polar"));
  assert.ok(isFailure(await rejection(store.blobs.read(blob)), "store/corrupt"));
  assert.ok(isFailure(await rejection(store.readDerived(derived)), "store/corrupt"));
  assert.is(await store.findDerived(recipe), undefined);
});

test("nothing derived is collected while a record that is in use can't be read", async () => {
  const files = new MemoryDisk();
  const store = await Store.open(files, "/store");
  const derived = await store.writeDerived(recipe, bytes("polar"), bytes("answers"));
  files.corrupt(`${derived}.json`);
  await store.collect({ blobs: new Set(), derived: new Set([derived]) });
  assert.ok(files.paths().some((path) => path.endsWith(sha256("polar"))));
});

test("one damaged state file costs one step, two leave a new device", async () => {
  const files = new MemoryDisk();
  const state = new StateFile(files, "/", "state");
  for (const step of [1, 2, 3]) await state.save({ step });
  files.corrupt("state.b.json");
  assert.equal(await new StateFile(files, "/", "state").load(), { step: 2 });
  files.corrupt("state.a.json");
  assert.is(await new StateFile(files, "/", "state").load(), undefined);
});

test("a full disk is refused before anything is fetched", async () => {
  const files = new MemoryDisk();
  const store = await Store.open(files, "/store");
  await store.checkSpace(1000);
  files.free = 1000;
  assert.ok(isFailure(await rejection(store.checkSpace(1000)), "store/no-space"));
});

test("on the real disk nobody else may read", async () => {
  const store = await Store.open(disk, join(folder, "modes"));
  const sha = await store.blobs.write(bytes("secret"));
  const mode = async (path: string): Promise<number> => (await stat(join(folder, "modes", path))).mode & 0o777;
  assert.equal([await mode("blobs"), await mode(`blobs/${sha}`)], [0o700, 0o600]);
});

test("canonical text depends on the value alone, and names it", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const again = JSON.parse(canonical(value));
      assert.is(canonical(again), canonical(value));
      assert.is(JSON.stringify(again) === undefined, false);
    }),
  );
  assert.is(canonical({ b: 1, a: [undefined, { d: null, c: "x" }] }), '{"a":[null,{"c":"x","d":null}],"b":1}');
});

test("the journal keeps the last half megabyte, and what a power cut has torn does not hide the rest", async () => {
  const disk = new MemoryDisk();
  const journal = new Journal(disk, "/s");
  for (let n = 0; n < 3000; n++) await journal.note({ n, text: "x".repeat(200) });
  const lines = (await new Journal(disk, "/s").read()) as { n: number }[];
  assert.is(lines.at(-1)?.n, 2999);
  assert.ok(lines.length > 1000 && lines.length < 2600, `${lines.length} lines`);
  assert.equal(
    lines.map(({ n }) => n),
    Array.from({ length: lines.length }, (_, i) => 3000 - lines.length + i),
  );
  await disk.append("/s/journal.jsonl", new TextEncoder().encode('{"n":'));
  assert.is((await new Journal(disk, "/s").read()).length, lines.length);
});

test.run();
