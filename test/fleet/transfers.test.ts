import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Clock, systemClock } from "../../runtime/base/clock.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { uniform } from "../../runtime/base/random.ts";
import { decodeBlock, encodeBlock, parseRequest, WINDOW_BLOCKS } from "../../runtime/fleet/files/block.ts";
import { blobUrl, Sources } from "../../runtime/fleet/files/sources.ts";
import { Transfers } from "../../runtime/fleet/files/transfers.ts";
import { Blobs, type Part } from "../../runtime/store/blobs.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { BlockLine, type Fate } from "../support/block-line.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { rejection } from "../support/until.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const test = suite("transfers");
const BLOCK = 1000;
const next = uniform(1);
const file = Uint8Array.from({ length: 20_500 }, () => Math.floor(256 * next()));
const ref = { sha256: sha256(file), bytes: file.length };
const path = `blobs/${ref.sha256}`;
/** Waits until nothing can happen any more. */
const clock: Clock = {
  ...systemClock,
  sleep: async (_, signal) => {
    for (let turn = 0; turn < 200 && signal?.aborted !== true; turn++) await settle(1);
  },
};
const options = { clock, signal: new AbortController().signal };
const partOn = (disk: MemoryDisk): Promise<Part> => new Blobs(disk, "/blobs").part(ref);

interface Fetched {
  readonly disk: MemoryDisk;
  readonly line: BlockLine;
  readonly error: unknown;
}

async function fetched(fate?: Fate, content = file, disk = new MemoryDisk(), tries?: number): Promise<Fetched> {
  const transfers = new Transfers();
  const line = new BlockLine(transfers, new Map([[path, content]]), fate);
  line.connect(BLOCK);
  const error = await rejection(transfers.fetch(await partOn(disk), { ...options, tries }));
  return { disk, line, error };
}

const whole = async ({ disk }: Fetched): Promise<boolean> => new Blobs(disk, "/blobs").has(ref.sha256);

test("a file comes in blocks, a window of them at a time, and each once", async () => {
  const result = await fetched();
  assert.ok(await whole(result));
  assert.ok(result.line.requests.every(({ n }) => n <= WINDOW_BLOCKS));
  assert.is(result.line.asked, 21 * BLOCK);
});

const fates: readonly (readonly [string, Fate])[] = [
  ["get lost", (payload, count) => (count % 3 === 0 ? [] : [payload])],
  ["come twice", (payload) => [payload, payload]],
  ["are cut short", (payload, count) => (count % 4 === 1 ? [payload.subarray(0, 500)] : [payload])],
  ["are preceded by nonsense", (payload) => [Uint8Array.of(1), encodeBlock({ total: 7, off: 0, data: file }), payload]],
];
for (const [name, fate] of fates) {
  test(`blocks that ${name} do no harm`, async () => {
    const result = await fetched(fate);
    assert.is(result.error, undefined);
    assert.ok(await whole(result));
  });
}

test("property: whatever is lost, doubled or reordered, the file arrives, and nothing is asked for twice in vain", async () => {
  const fates = fc.array(fc.constantFrom("fine", "lost", "doubled", "late"), { minLength: 8, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fates, async (script) => {
      let late: readonly Uint8Array<ArrayBufferLike>[] = [];
      let lost = 0;
      const fate: Fate = (payload, count) => {
        const what = script[count] ?? "fine";
        const before = late;
        late = what === "late" ? [payload] : [];
        if (what === "lost") lost++;
        if (what === "lost" || what === "late") return before;
        return what === "doubled" ? [payload, payload, ...before] : [payload, ...before];
      };
      // More tries than anything gets lost: when a device gives up is another test's matter.
      const result = await fetched(fate, file, new MemoryDisk(), 50);
      assert.ok(await whole(result));
      const again = result.line.asked / BLOCK - 21;
      assert.ok(again <= lost + script.filter((fate) => fate === "late").length, `${again} blocks again`);
    }),
    { numRuns: 40 },
  );
});

test("after a power cut at any moment no more than a window is asked for again", async () => {
  const { line, disk: whole } = await fetched();
  assert.ok(line.requests.length > 4);
  for (let cut = 2; cut < whole.operations; cut += 3) {
    const disk = new MemoryDisk();
    disk.cutAt = cut;
    const first = await fetched(undefined, file, disk).catch(() => undefined);
    const asked = Math.max(0, ...(first?.line.requests ?? []).map(({ off, len, n }) => off + len * n));
    for (const outcome of disk.outcomes()) {
      const part = await partOn(outcome);
      const there = await new Blobs(outcome, "/blobs").has(ref.sha256);
      assert.ok(there || part.length >= Math.min(asked, ref.bytes) - WINDOW_BLOCKS * BLOCK, `cut ${cut}`);
      assert.is((await fetched(undefined, file, outcome)).error, undefined);
    }
  }
});

test("a connection that ends and comes back is no new beginning", async () => {
  const transfers = new Transfers();
  const line: BlockLine = new BlockLine(transfers, new Map([[path, file]]), (payload, count) => {
    if (count % 5 !== 4) return [payload];
    setImmediate(() => transfers.use(undefined));
    setTimeout(() => line.connect(BLOCK), 2);
    return [];
  });
  const part = await partOn(new MemoryDisk());
  const done = transfers.fetch(part, options);
  line.connect(BLOCK);
  await done;
  assert.ok(line.asked > 21 * BLOCK);
});

const refusals: readonly (readonly [string, typeof file, Fate | undefined, RegExp])[] = [
  ["nobody answers", file, () => [], /nobody at the broker answers/],
  ["there is no such file", new Uint8Array(), undefined, /0 are offered/],
  ["the file has another size", file.subarray(1), undefined, /20499 are offered/],
];
for (const [name, content, fate, message] of refusals) {
  test(`where ${name} it fails`, async () => {
    const { error } = await fetched(fate, content);
    assert.ok(isFailure(error, "download/failed"));
    assert.match(error.message, message);
  });
}

test("what has another digest does not get in", async () => {
  const { error } = await fetched(
    undefined,
    file.map((byte) => byte ^ 1),
  );
  assert.ok(isFailure(error, "download/digest-mismatch"));
});

test("small files are read whole, none where there is none, and not if they are too big", async () => {
  const transfers = new Transfers();
  new BlockLine(transfers, new Map([["metadata/timestamp.json", file.slice(0, 2500)]])).connect();
  const read = transfers.small({ clock });
  assert.equal(await read("metadata/timestamp.json", 4000, options.signal), file.slice(0, 2500));
  assert.is(await read("metadata/2.root.json", 4000, options.signal), undefined);
  assert.ok(isFailure(await rejection(read("metadata/timestamp.json", 2000, options.signal)), "trust/too-large"));
  new BlockLine(transfers, new Map(), () => []).connect();
  assert.ok(isFailure(await rejection(read("metadata/1.root.json", 10, options.signal)), "trust/unreachable"));
});

test("the rate is kept, and an abort is heard at once", async () => {
  const slow = new VirtualClock();
  const transfers = new Transfers();
  const line = new BlockLine(transfers, new Map([[path, file]]));
  line.connect(BLOCK);
  const controller = new AbortController();
  const done = transfers.fetch(await partOn(new MemoryDisk()), { clock: slow, signal: controller.signal, maxKBps: 1 });
  for (let second = 0; second < 10; second++) {
    await settle(50);
    assert.ok(line.asked <= BLOCK * (second + WINDOW_BLOCKS), `${line.asked} bytes after ${second} s`);
    slow.advance(1000);
  }
  assert.ok(line.asked >= 9 * BLOCK);
  controller.abort(new Failure("job/canceled", "enough"));
  assert.ok(isFailure(await rejection(done), "job/canceled"));
});

test("a device asks its web server first, and the broker if that fails or is its only address", async () => {
  const transfers = new Transfers();
  const sources = new Sources(transfers, clock);
  const http = "http://127.0.0.1:1";
  const attempt = async (url: string): Promise<unknown> =>
    rejection(sources.fetch(url, await partOn(new MemoryDisk()), { ...options, tries: 1 }));
  assert.match(String(await attempt(blobUrl(http, ref.sha256))), /ECONNREFUSED/);
  new BlockLine(transfers, new Map([[path, file]])).connect();
  assert.is(await attempt(blobUrl(http, ref.sha256)), undefined);
  assert.is(await attempt(blobUrl("mqtt:", ref.sha256)), undefined);
  for (const repository of [http, "mqtt:"]) {
    assert.equal(await sources.small(repository)(path, 30_000, options.signal), file);
  }
  new BlockLine(transfers, new Map()).connect();
  assert.match(String(await attempt(blobUrl(http, ref.sha256))), /ECONNREFUSED/);
});

test("only the three folders of a repository can be asked for", () => {
  const good = { id: 1, path, off: 0, len: 1000, n: 4 };
  const bytes = (request: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(request));
  for (const fine of [path, "metadata/timestamp.json", "targets/releases/ab.kws-1.json"]) {
    assert.equal(parseRequest(bytes({ ...good, path: fine })), { ...good, path: fine });
  }
  const wrong = [
    "keys/root.pem",
    "../keys/root.pem",
    "metadata/../../keys/x",
    "blobs/x",
    "metadata/.hidden",
    "/etc/passwd",
  ];
  for (const bad of wrong) assert.is(parseRequest(bytes({ ...good, path: bad })), undefined, bad);
  for (const change of [{ n: 5 }, { len: 65_537 }, { off: -1 }, { more: 1 }, { id: 2 ** 32 }]) {
    assert.is(parseRequest(bytes({ ...good, ...change })), undefined);
  }
  assert.is(parseRequest(Uint8Array.of(1)), undefined);
  assert.is(decodeBlock(new Uint8Array(7)), undefined);
});

test.run();
