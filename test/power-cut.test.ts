import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type FakeModel, fakeRelease } from "./support/jobs.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { World } from "./support/world.ts";

const test = suite("power cut");
const v1 = fakeRelease({ version: "1" });
const rollback = { v: 1, jobId: "back", seq: 3, device: "pi-1", action: "rollback" };

/** A disk on which version 1 serves; with `update`, the one before version 2. */
async function installed(...models: readonly FakeModel[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const world = new World(disk);
  await world.start();
  for (const [i, model] of models.entries()) {
    const release = fakeRelease(model);
    world.offer(release);
    world.desire(release.job(i + 1));
    assert.is(await world.finish({ seq: i + 1 }), "COMMITTED");
  }
  await world.agent?.stop();
  return disk;
}

const changes: readonly {
  readonly name: string;
  readonly from: readonly FakeModel[];
  readonly update?: FakeModel;
  /** What may serve after the cut, and what does in the end. */
  readonly serves: readonly string[];
  readonly ends: string;
  readonly state: string;
}[] = [
  {
    name: "a good update",
    from: [{ version: "1" }],
    update: { version: "2" },
    serves: ["1", "2"],
    ends: "2",
    state: "COMMITTED",
  },
  {
    name: "an update that fails its self-test",
    from: [{ version: "1" }],
    update: { version: "2", wrongEvery: 3 },
    serves: ["1"],
    ends: "1",
    state: "FAILED",
  },
  {
    name: "a rollback",
    from: [{ version: "1" }, { version: "2" }],
    serves: ["1", "2"],
    ends: "1",
    state: "COMMITTED",
  },
];

for (const { name, from, update, serves, ends, state } of changes) {
  test(`${name}: cut at any operation of the disk, with any outcome, leaves the old model or the new`, async () => {
    const before = await installed(...from);
    const release = update && fakeRelease(update);
    const job = release ? release.job(from.length + 1) : rollback;
    const begin = async (disk: MemoryDisk): Promise<World> => {
      const world = new World(disk);
      world.offer(release ?? v1);
      await world.start();
      world.desire(job);
      return world;
    };
    let outcomes = 0;
    for (let cut = 0; ; cut++) {
      const disk = before.copy();
      disk.cutAt = cut;
      const sequence = await dieOn(disk, begin, job.seq);
      if (sequence === undefined) break;
      for (const found of disk.outcomes()) {
        outcomes++;
        const world = await begin(found);
        const active = world.agent?.serving.loaded?.deployed.version;
        assert.ok(serves.includes(active ?? "none"), `cut at ${cut}: ${active} serves`);
        assert.ok((world.store?.state.sequence ?? 0) >= sequence, `cut at ${cut}: the sequence went back`);
        assert.is(await world.finish(job), state, `cut at ${cut}`);
        assert.is(world.report.active?.version, ends);
        await world.agent?.stop();
      }
    }
    assert.ok(outcomes > 50, `${outcomes} outcomes`);
  });
}

/** Runs the update until the power fails; the sequence that was safe by then, or undefined if it never failed. */
async function dieOn(
  disk: MemoryDisk,
  begin: (disk: MemoryDisk) => Promise<World>,
  seq: number,
): Promise<number | undefined> {
  const world = await begin(disk).catch(() => undefined);
  if (!world) return 0;
  const finished = (): boolean => world.report.seq === seq && world.report.status !== "IN_PROGRESS";
  await world.until("the cut", () => disk.operations > disk.cutAt || finished());
  await world.agent?.stop();
  return disk.operations > disk.cutAt ? (world.store?.state.sequence ?? 0) : undefined;
}

test.run();
