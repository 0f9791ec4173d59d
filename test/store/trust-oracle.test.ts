import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initializeTUFRepo, tufHandlers } from "@tufjs/repo-mock";
import { Updater } from "tuf-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { pinnedRoot, refreshChain } from "../../runtime/trust/chain.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const test = suite("trust oracle");
const folder = await mkdtemp(join(tmpdir(), "polaredge-tuf-"));
/** What the repository has now, by the name of the file. */
let files: ReadonlyMap<string, string> = new Map();
const server = createServer((request, response) => {
  const text = files.get((request.url ?? "").split("/").at(-1) ?? "");
  if (text === undefined) response.writeHead(404).end();
  else response.end(text);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const metadataBaseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metadata`;
test.after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

let clients = 0;
/** Both clients, one after the other, over a history of repositories: what they say to each of them. */
async function both(root: string, history: readonly ReadonlyMap<string, string>[], path: string): Promise<Verdict[]> {
  const metadataDir = join(folder, String(clients++));
  await mkdir(metadataDir);
  await writeFile(join(metadataDir, "root.json"), root);
  const verdicts: Verdict[] = [];
  let chain: Awaited<ReturnType<typeof refreshChain>> | undefined;
  for (const now of history) {
    files = now;
    const updater = new Updater({ metadataDir, metadataBaseUrl, config: { fetchRetry: 0, fetchTimeout: 2000 } });
    const oracle = await updater
      .refresh()
      .then(() => updater.getTargetInfo(path))
      .then((info) => info?.hashes.sha256 ?? "not listed")
      .catch(() => "refused");
    const mine = await refreshChain(chain ?? pinnedRoot(root), async (name) => now.get(name), Date.now())
      .then((next) => {
        chain = next;
        return next.target(path)?.hashes.sha256 ?? "not listed";
      })
      .catch(() => "refused");
    verdicts.push({ oracle, mine });
  }
  return verdicts;
}

interface Verdict {
  readonly oracle: unknown;
  readonly mine: unknown;
}

test("a repository of the TUF project's own making is read as tuf-js reads it", async () => {
  const repo = initializeTUFRepo([{ name: "releases/kws-1.json", content: "manifest" }]);
  const served = tufHandlers(repo, {}).map(({ path, fn }): [string, string] => {
    const { statusCode, response } = fn();
    return [path.split("/").at(-1) ?? "", statusCode === 200 ? String(response) : ""];
  });
  const map = new Map(served.filter(([, text]) => text !== ""));
  const [verdict] = await both(JSON.stringify(repo.rootMeta.toJSON()), [map], "releases/kws-1.json");
  assert.is(verdict.mine, verdict.oracle);
  assert.match(String(verdict.mine), /^[0-9a-f]{64}$/);
});

/** A repository's life: what it published, step by step. */
async function life(): Promise<{ root: string; published: ReadonlyMap<string, string>[] }> {
  const disk = new MemoryDisk();
  const repository = await Repository.create(disk, "/op", Date.now(), { count: 2, threshold: 2 });
  const published: Map<string, string>[] = [];
  const note = async (): Promise<void> => {
    const names = await disk.list("/op/repository/metadata");
    const read = async (name: string): Promise<[string, string]> => {
      const data = await disk.read(`/op/repository/metadata/${name}`);
      return [name, new TextDecoder().decode(data)];
    };
    published.push(new Map(await Promise.all(names.map(read))));
  };
  const release = (version: string): Promise<unknown> => repository.release(draft(version), Date.now());
  const steps = [
    () => release("1"),
    () => repository.renew(Date.now()),
    () => release("2"),
    () => repository.rotate("releases", Date.now()),
    () => repository.rotate("root", Date.now()),
    () => repository.rotate("timestamp", Date.now()),
    () => repository.revoke("kws", "1", Date.now()),
    () => repository.rotate("targets", Date.now()),
    () => release("3"),
  ];
  await note();
  for (const step of steps) {
    await step();
    await note();
  }
  return { root: await repository.enrolment(), published };
}

function draft(version: string): Parameters<Repository["release"]>[0] {
  const file = new TextEncoder().encode(version);
  return {
    name: "kws",
    version,
    rollbackIndex: 1,
    requires: {},
    accept: { minAgreementPct: 90 },
    trial: { passes: 1, seconds: 1, minInferences: 0 },
    files: { model: file, calibration: file, probes: file },
  };
}

test("the operator's repository is read as tuf-js reads it, at every step of its life", async () => {
  const { root, published } = await life();
  for (const path of ["releases/kws-1.json", "releases/kws-2.json", "releases/kws-3.json"]) {
    for (const [step, { oracle, mine }] of (await both(root, published, path)).entries()) {
      assert.is(mine, oracle, `${path} after ${step} steps`);
      assert.is.not(mine, "refused");
    }
  }
});

test("a repository that is mixed, replayed and damaged is taken by both or by neither", async () => {
  const { root, published } = await life();
  const next = uniform(11);
  const below = (limit: number): number => Math.floor(next() * limit);
  const seen = { refused: 0, taken: 0 };
  for (let round = 0; round < 60; round++) {
    const before = published[below(published.length)];
    const after = damaged(new Map(published[below(published.length)]), published, below);
    const [, { oracle, mine }] = await both(root, [before, after], "releases/kws-2.json");
    assert.is(mine, oracle, `round ${round}`);
    if (mine === "refused") seen.refused++;
    else seen.taken++;
  }
  assert.ok(seen.refused > 15 && seen.taken > 15, JSON.stringify(seen));
});

function damaged(
  map: Map<string, string>,
  published: readonly ReadonlyMap<string, string>[],
  below: (limit: number) => number,
): ReadonlyMap<string, string> {
  const names = [...map.keys()].filter((name) => !name.endsWith(".root.json"));
  const name = names[below(names.length)];
  const text = map.get(name) ?? "";
  const at = below(text.length);
  const ways: readonly (() => unknown)[] = [
    () => undefined,
    () => map.set("timestamp.json", published[below(published.length)].get("timestamp.json") ?? ""),
    () => map.set(name, text.slice(0, at)),
    () => map.set(name, text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1)),
    () => map.set(name, map.get(names[below(names.length)]) ?? ""),
    () => map.delete(name),
  ];
  ways[below(ways.length)]();
  return map;
}

test.run();
