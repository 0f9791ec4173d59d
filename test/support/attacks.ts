import { generateKeyPairSync } from "node:crypto";
import type { FailureCode } from "../../runtime/base/failure.ts";
import { seal } from "../../runtime/trust/envelope.ts";
import type { MetaJson, RootJson, TargetsJson } from "../../tools/fleet/roles.ts";
import { fakeRelease, payload } from "./jobs.ts";
import { Siege } from "./siege.ts";

export interface Attack {
  readonly name: string;
  readonly code: FailureCode;
  /** Ends with something ordered that the device must refuse. */
  readonly run: (siege: Siege) => Promise<void>;
}

const DAY_MS = 86_400_000;
const later = <T extends { readonly version: number }>(signed: T, by = 1): T => ({
  ...signed,
  version: signed.version + by,
});

/** The attacks on updates of TUF 1.0.34, section 1.5.2, those on assignments, and a thief of each key. */
export const attacks: readonly Attack[] = [
  {
    name: "a job without a signature",
    code: "trust/unsigned",
    run: async ({ world }) => world.desire(payload(fakeRelease({ version: "2" }).job(2))),
  },
  {
    name: "a job that a stranger signed",
    code: "trust/unsigned",
    run: async (siege) => {
      const { privateKey } = generateKeyPairSync("ed25519");
      const job = siege.assignment(await siege.release({ version: "2" }));
      siege.world.desire(seal(payload(job), [privateKey]));
    },
  },
  {
    name: "arbitrary software: another manifest on the server",
    code: "trust/arbitrary",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      const path = `targets/${release.target.replace("/", `/${release.sha256}.`)}`;
      siege.tampered.set(path, JSON.stringify({ v: 1, name: "evil" }));
      siege.order(release);
    },
  },
  {
    name: "arbitrary software: another model on the server",
    code: "download/digest-mismatch",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      const { model } = fakeRelease({ version: "2" }).job(1);
      siege.tampered.set(`blobs/${model.sha256}`, new Uint8Array(model.bytes));
      siege.order(release);
    },
  },
  {
    name: "rollback: the metadata of last week",
    code: "trust/rollback",
    run: async (siege) => {
      const old = await siege.published("timestamp.json");
      siege.order(await siege.release({ version: "2" }));
      await siege.outcome();
      siege.tampered.set("metadata/timestamp.json", old);
      siege.order(await siege.release({ version: "3" }));
    },
  },
  {
    name: "rollback: an old release, rightly signed",
    code: "trust/below-floor",
    run: async (siege) => void siege.order(await siege.release({ version: "0" }, { rollbackIndex: 0 })),
  },
  {
    name: "indefinite freeze: the old timestamp for ever",
    code: "trust/expired",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      siege.world.clock.advance(8 * DAY_MS);
      siege.order(release);
    },
  },
  {
    name: "fast-forward: versions nobody can ever exceed",
    code: "trust/fast-forward",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      const timestamp = later(await siege.current<MetaJson>("timestamp"), 2 ** 40);
      siege.tampered.set("metadata/timestamp.json", await siege.forge(timestamp, await siege.keysOf("timestamp")));
      siege.order(release);
    },
  },
  {
    name: "mix and match: an older snapshot under a new timestamp",
    code: "trust/mismatch",
    run: async (siege) => {
      const { version } = await siege.current<MetaJson>("snapshot");
      const old = await siege.published(`${version}.snapshot.json`);
      const release = await siege.release({ version: "2" });
      siege.tampered.set(`metadata/${version + 1}.snapshot.json`, old);
      siege.order(release);
    },
  },
  {
    name: "an assignment for another device",
    code: "job/wrong-device",
    run: async (siege) => void siege.order(await siege.release({ version: "2" }), { device: "pi-2" }),
  },
  {
    name: "an assignment of the past, again",
    code: "job/stale",
    run: async (siege) => {
      const old = siege.order(await siege.release({ version: "2" }));
      await siege.outcome();
      siege.order(await siege.release({ version: "3" }));
      await siege.outcome();
      siege.world.desire(old);
    },
  },
  {
    name: "an assignment that is out of date",
    code: "job/expired",
    run: async (siege) => void siege.order(await siege.release({ version: "2" }), { notAfter: siege.now - 1 }),
  },
  {
    name: "endless metadata",
    code: "trust/too-large",
    run: async (siege) => {
      siege.tampered.set("metadata/timestamp.json", "endless");
      siege.order(await siege.release({ version: "2" }));
    },
  },
  {
    name: "an endless model",
    code: "download/too-large",
    run: async (siege) => {
      siege.tampered.set(`blobs/${fakeRelease({ version: "2" }).job(1).model.sha256}`, "endless");
      siege.order(await siege.release({ version: "2" }));
    },
  },
  {
    name: "truncated state: the device has lost what it knew, and is shown the past",
    code: "trust/lost",
    run: async (siege) => {
      const old = await siege.published("timestamp.json");
      siege.order(await siege.release({ version: "2" }));
      await siege.outcome();
      await siege.world.agent?.stop();
      for (const name of ["a", "b"]) await siege.world.files.write(`/store/trust.${name}.json`, new Uint8Array());
      await siege.start();
      siege.tampered.set("metadata/timestamp.json", old);
      siege.order(await siege.release({ version: "3" }));
    },
  },
  {
    name: "a release for other devices",
    code: "job/wrong-profile",
    run: async (siege) => void siege.order(await siege.release({ version: "2" }, { profiles: ["cortex"] })),
  },
  {
    name: "a release that was revoked",
    code: "trust/unknown-release",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      await siege.repository.revoke("kws", "2", siege.now);
      siege.order(release);
    },
  },
  {
    name: "a thief of the fleet key orders what was never released",
    code: "trust/unknown-release",
    run: async (siege) => void siege.order({ target: "releases/evil-1.json", sha256: "a".repeat(64), bytes: 100 }),
  },
  {
    name: "a thief of the release key",
    code: "trust/mismatch",
    run: async (siege) => {
      const releases = await siege.current<TargetsJson>("releases");
      const forged = await siege.forge({ ...releases, targets: {} }, await siege.keysOf("releases"));
      siege.order(await siege.release({ version: "2" }));
      siege.tampered.set(`metadata/${releases.version + 1}.releases.json`, forged);
    },
  },
  {
    name: "a thief of the targets key makes himself the releaser",
    code: "trust/mismatch",
    run: async (siege) => {
      const release = await siege.release({ version: "2" });
      await siege.repository.rotate("assignments", siege.now);
      const targets = await siege.current<TargetsJson>("targets");
      const forged = await siege.forge({ ...targets, expires: "2099-01-01T00:00:00Z" }, await siege.keysOf("targets"));
      await siege.plant("targets", forged, []);
      siege.order(release);
    },
  },
  {
    name: "a thief of the timestamp key",
    code: "trust/signature",
    run: async (siege) => {
      const snapshot = later(await siege.current<MetaJson>("snapshot"));
      const text = await siege.forge(snapshot, await siege.keysOf("timestamp"));
      await siege.plant("snapshot", text, ["timestamp"]);
      siege.order(await siege.release({ version: "2" }));
    },
  },
  {
    name: "a thief of the snapshot and timestamp keys shows old releases",
    code: "trust/rollback",
    run: async (siege) => {
      const { version } = await siege.current<TargetsJson>("releases");
      const old = await siege.published(`${version}.releases.json`);
      siege.order(await siege.release({ version: "2" }));
      await siege.outcome();
      await siege.plant("releases", old, ["snapshot", "timestamp"]);
      siege.order(await siege.release({ version: "3" }));
    },
  },
  {
    name: "a thief of one root key of two",
    code: "trust/signature",
    run: async (siege) => {
      const root = later(await siege.current<RootJson>("root"));
      const { keyids } = root.roles.root;
      const mine = { ...root, roles: { ...root.roles, root: { keyids, threshold: 1 } } };
      siege.tampered.set("metadata/2.root.json", await siege.forge(mine, { keyids: keyids.slice(0, 1), threshold: 1 }));
      siege.order(await siege.release({ version: "2" }));
    },
  },
];

export interface Verdict {
  readonly code: string;
  /** Version that served before, that serves after, and that the answers are right. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly right: boolean;
}

export async function besiege({ run }: Attack): Promise<Verdict> {
  const siege = await Siege.begin();
  try {
    const { world } = siege;
    const serving = (): string | undefined => world.agent?.serving.loaded?.deployed.version;
    await run(siege);
    const before = serving();
    const code = await siege.outcome();
    return { code, before, after: serving(), right: (await world.answer(2)) === 2 };
  } finally {
    await siege.end();
  }
}
