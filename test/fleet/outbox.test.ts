import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Outbox } from "../../runtime/fleet/outbox.ts";
import type { FleetEvent } from "../../runtime/fleet/topics.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const test = suite("outbox");
const event = (n: number, code = "upkeep/recalibrate"): FleetEvent => ({
  n,
  ts: 0,
  boot: "b",
  level: "info",
  code,
  msg: "m",
});
const numbers = ({ waiting }: Outbox): number[] => waiting.map(({ n }) => n);

test("what was not taken is there after a restart, in order", async () => {
  const files = new MemoryDisk();
  const outbox = await Outbox.open(files, "/");
  for (const n of [1, 2, 3]) await outbox.add(event(n));
  const [first] = outbox.waiting;
  await outbox.remove(first);
  assert.equal(numbers(outbox), [2, 3]);
  const again = await Outbox.open(files, "/");
  assert.equal(numbers(again), [1, 2, 3], "sent again, rather than lost");
  for (const each of again.waiting) await again.remove(each);
  assert.equal(numbers(await Outbox.open(files, "/")), []);
});

test("a power cut at any moment loses no event that was added, and tears none", async () => {
  for (let cut = 0; cut < 20; cut++) {
    const files = new MemoryDisk();
    const outbox = await Outbox.open(files, "/");
    files.cutAt = files.operations + cut;
    const safe: number[] = [];
    for (const n of [1, 2, 3, 4]) {
      await outbox.add(event(n)).then(
        () => safe.push(n),
        () => undefined,
      );
      if (n === 2) for (const each of outbox.waiting) await outbox.remove(each).catch(() => undefined);
    }
    for (const found of files.outcomes()) {
      const left = numbers(await Outbox.open(found, "/"));
      const expected = safe.filter((n) => n > 2);
      assert.ok(
        expected.every((n) => left.includes(n)),
        `cut ${cut}: expected ${expected}, found ${left}`,
      );
    }
  }
});

test("there is a limit, and what became of jobs goes last", async () => {
  const files = new MemoryDisk();
  const outbox = await Outbox.open(files, "/");
  for (let n = 1; n <= 1500; n++) await outbox.add(event(n, n <= 100 ? "job/committed" : "upkeep/recalibrate"));
  assert.equal(
    [outbox.waiting.length, outbox.dropped, outbox.waiting[99].n, outbox.waiting[100].n],
    [1000, 500, 100, 601],
  );
  for (let n = 1501; n <= 3500; n++) await outbox.add(event(n, "job/committed"));
  assert.equal([outbox.waiting.length, outbox.waiting[0].n], [1000, 2501]);
  const again = await Outbox.open(files, "/");
  assert.ok(again.waiting.length >= 1000 && again.waiting.length <= 2000);
});

test.run();
