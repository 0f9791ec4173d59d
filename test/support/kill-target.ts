import { join } from "node:path";
import { disk } from "../../runtime/store/disk.ts";
import type { Files } from "../../runtime/store/files.ts";
import { fakeRelease } from "./jobs.ts";
import { World } from "./world.ts";

/**
 * A process to be killed: an agent with its real store on the real disk that takes on one job after the other. It says
 * on standard output what serves when it starts, and what was committed, one line each: word, version, sequence.
 */
const [, , folder = ""] = process.argv;
const world = new World(below(folder));
const releases = ["a", "b", "c"].map((version) => fakeRelease({ version }));
for (const release of releases) world.offer(release);
const agent = await world.start();
const say = (word: string): void => {
  const version = agent.serving.loaded?.deployed.version ?? "nothing";
  process.stdout.write(`${word} ${version} ${world.store?.state.sequence}\n`);
};
say("serves");
for (;;) {
  const seq = (agent.state.seen?.seq ?? 0) + 1;
  world.desire(jobOf(seq));
  while (world.report.seq !== seq || world.report.status === "IN_PROGRESS" || agent.state.phase.at !== "IDLE") {
    await new Promise((resolve) => setTimeout(resolve, 1));
    world.clock.advance(100);
  }
  say("committed");
}

function jobOf(seq: number): unknown {
  if (seq % 5 === 0) return { v: 1, jobId: `back-${seq}`, seq, device: "pi-1", action: "rollback" };
  if (seq % 7 === 0) return { v: 1, jobId: `again-${seq}`, seq, device: "pi-1", action: "recalibrate" };
  return releases[seq % 3].job(seq);
}

/** The real disk, with all of it below one folder. */
function below(root: string): Files {
  return {
    read: (path, at, length) => disk.read(join(root, path), at, length),
    size: (path) => disk.size(join(root, path)),
    list: (path) => disk.list(join(root, path)),
    write: (path, data) => disk.write(join(root, path), data),
    append: (path, data) => disk.append(join(root, path), data),
    sync: (path) => disk.sync(join(root, path)),
    rename: (from, to) => disk.rename(join(root, from), join(root, to)),
    remove: (path) => disk.remove(join(root, path)),
    makeFolder: (path) => disk.makeFolder(join(root, path)),
    syncFolder: (path) => disk.syncFolder(join(root, path)),
    freeBytes: (path) => disk.freeBytes(join(root, path)),
  };
}
