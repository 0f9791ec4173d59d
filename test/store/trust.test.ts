import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Failure } from "../../runtime/base/failure.ts";
import { pinnedRoot } from "../../runtime/trust/chain.ts";
import { assertSound } from "../../runtime/trust/keys.ts";
import type { MetaJson, RootJson } from "../../tools/fleet/roles.ts";
import { Siege } from "../support/siege.ts";

const test = suite("trust");

/** A test with a device and its operator. */
function siege(name: string, run: (siege: Siege) => Promise<void>): void {
  test(name, async () => {
    const begun = await Siege.begin();
    try {
      await run(begun);
    } finally {
      await begun.end();
    }
  });
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return "nothing";
  } catch (error) {
    return error instanceof Failure ? error.code : String(error);
  }
}

/** The field of Ed25519 (RFC 8032, section 5.1), to see which points have a low order. */
const P = 2n ** 255n - 19n;
const power = (base: bigint, exponent: bigint): bigint => {
  let [result, square] = [1n, base % P];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
};
const inverse = (value: bigint): bigint => power(((value % P) + P) % P, P - 2n);
const D = (P - ((121665n * inverse(121666n)) % P)) % P;

/** y of 8 times the point with this y: doubling by y alone, from x^2 = (y^2 - 1) / (d y^2 + 1). */
function eightfold(y: bigint): bigint {
  let at = ((y % P) + P) % P;
  for (let i = 0; i < 3; i++) {
    const yy = (at * at) % P;
    const xx = (((yy - 1n + P) % P) * inverse(D * yy + 1n)) % P;
    const product = (((D * xx) % P) * yy) % P;
    at = (((yy + xx) % P) * inverse((1n - product + P) % P)) % P;
  }
  return at;
}

test("keys under which anybody can sign are refused: those whose eightfold is the neutral point", () => {
  const keys = [
    "00".repeat(32),
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
  ];
  for (const key of keys) {
    const bytes = Buffer.from(key, "hex");
    assert.is(eightfold(BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`)), 1n, key);
    assert.is(
      codeOf(() => assertSound(key)),
      "trust/weak-key",
    );
    bytes[31] |= 0x80;
    assert.is(
      codeOf(() => assertSound(bytes.toString("hex"))),
      "trust/weak-key",
      "with the other sign",
    );
  }
  assert.is(
    codeOf(() => assertSound("short")),
    "trust/weak-key",
  );
});

siege("a device is not enrolled with a root that proves nothing", async (field) => {
  const root = await field.current<RootJson>("root");
  const [first] = root.roles.root.keyids;
  const weak = { ...root.keys[first], keyval: { public: "00".repeat(32) } };
  const double = { ...root.keys, "another name": root.keys[first] };
  const named = { keyids: [first, "another name"], threshold: 2 };
  const roots: readonly (readonly [RootJson, string])[] = [
    [{ ...root, keys: { ...root.keys, [first]: weak } }, "trust/weak-key"],
    [{ ...root, keys: double, roles: { ...root.roles, root: named } }, "trust/malformed"],
    [{ ...root, expires: "never" }, "trust/malformed"],
    [{ ...root, version: 1.5 }, "trust/malformed"],
  ];
  for (const [forged, code] of roots) {
    assert.is(
      codeOf(() => pinnedRoot(JSON.stringify({ signed: forged, signatures: [] }))),
      code,
    );
  }
  const half = await field.forge(root, { keyids: [first], threshold: 1 });
  assert.is(
    codeOf(() => pinnedRoot(half)),
    "trust/signature",
  );
  assert.is(
    codeOf(() => pinnedRoot("no json")),
    "trust/malformed",
  );
});

siege("every key can be exchanged, and the device follows", async (field) => {
  let version = 1;
  for (const role of ["root", "targets", "snapshot", "timestamp", "releases", "assignments"] as const) {
    await field.repository.rotate(role, field.now);
    field.order(await field.release({ version: String(++version) }));
    assert.is(await field.outcome(), "COMMITTED", role);
    assert.is(field.world.report.active?.version, String(version));
  }
  await field.start();
  assert.is(await field.world.answer(1), 1);
});

siege("after its exchange a stolen key is worth nothing", async (field) => {
  const stolen = field.repository.sign(field.assignment(await field.release({ version: "2" })));
  await field.repository.rotate("assignments", field.now);
  field.order(await field.release({ version: "3" }), { seq: 10 });
  assert.is(await field.outcome(), "COMMITTED");
  field.world.desire(stolen);
  assert.is(await field.outcome(), "trust/unsigned");
});

siege("from a fast-forward within the limit, new keys are the way out", async (field) => {
  const timestamp = await field.current<MetaJson>("timestamp");
  const far = { ...timestamp, version: timestamp.version + 1000 };
  field.tampered.set("metadata/timestamp.json", await field.forge(far, await field.keysOf("timestamp")));
  field.order(await field.release({ version: "2" }));
  assert.is(await field.outcome(), "trust/unknown-release");
  field.tampered.clear();
  field.order(await field.release({ version: "3" }));
  assert.is(await field.outcome(), "trust/rollback");
  await field.repository.rotate("timestamp", field.now);
  field.order(await field.release({ version: "4" }));
  assert.is(await field.outcome(), "COMMITTED");
});

const DAY_MS = 86_400_000;
const reasons = ({ world }: Siege): readonly string[] => world.health.at(-1)?.reasons ?? [];
/** Lets time pass in steps that the device's own work can follow. */
async function passes({ world }: Siege, days: number): Promise<void> {
  for (let hour = 0; hour < days * 24; hour++) {
    world.clock.advance(3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

siege("a repository that is frozen shows in the device's health, with no job to ask for it", async (field) => {
  await passes(field, 6);
  assert.equal(reasons(field), []);
  await passes(field, 2);
  assert.equal([reasons(field), field.world.health.at(-1)?.status], [["updates-frozen"], "degraded"]);
  assert.is(field.world.events.filter(({ code }) => code === "trust/expired").length, 1);
  assert.is(await field.world.answer(2), 2);
  await field.repository.renew(field.now);
  await passes(field, 1);
  assert.equal(reasons(field), []);
});

siege("a clock that is turned back makes nothing fresh again, after a restart neither", async (field) => {
  const release = await field.release({ version: "2" });
  await passes(field, 8);
  field.world.clock.wrongBy = -30 * DAY_MS;
  field.order(release);
  assert.is(await field.outcome(), "trust/expired");
  await field.start();
  field.order(release);
  assert.is(await field.outcome(), "trust/expired");
});

siege("a clock that once ran years ahead does not lock the device out", async (field) => {
  field.world.clock.wrongBy = 4000 * DAY_MS;
  await passes(field, 1);
  assert.equal(reasons(field), ["updates-frozen"]);
  field.world.clock.wrongBy = 0;
  await field.start();
  await field.repository.renew(field.now);
  field.order(await field.release({ version: "2" }));
  assert.is(await field.outcome(), "COMMITTED");
});

siege("a model is checked at every start, without a network", async (field) => {
  const { world } = field;
  field.tampered.set("metadata/timestamp.json", "gone");
  world.clock.advance(400 * 86_400_000);
  await field.start();
  assert.is(await world.answer(2), 2);
  const state = JSON.parse(JSON.stringify(world.agent?.state));
  await world.agent?.stop();
  state.active.model.sha256 = "b".repeat(64);
  await world.store?.state.save(state);
  await field.start();
  assert.is(world.agent?.serving.loaded, undefined);
  assert.ok(world.events.some(({ msg }) => msg.includes("a release of another model")));
});

siege("a revoked release is not started again; the one before it takes over", async (field) => {
  const { world } = field;
  field.order(await field.release({ version: "2" }));
  assert.is(await field.outcome(), "COMMITTED");
  await field.repository.revoke("kws", "2", field.now);
  field.order({ target: "releases/none-1.json", sha256: "a".repeat(64), bytes: 1 });
  assert.is(await field.outcome(), "trust/unknown-release");
  await field.start();
  await world.until("version 1", () => world.agent?.serving.loaded?.deployed.version === "1");
});

siege("a model that came without a signature does not start where trust is configured", async (field) => {
  const { world } = field;
  const { proof, ...active } = world.agent?.state.active ?? {};
  assert.ok(proof);
  const state = { ...world.agent?.state, active };
  await world.agent?.stop();
  await world.store?.state.save(state);
  await field.start();
  assert.is(world.agent?.serving.loaded, undefined);
});

siege("the network can't order a rollback below the floor", async (field) => {
  field.order(await field.release({ version: "2" }, { rollbackIndex: 2 }));
  assert.is(await field.outcome(), "COMMITTED");
  const order = field.assignment({ target: "", sha256: "", bytes: 0 }, { action: "rollback", release: undefined });
  field.world.desire(field.repository.sign(order));
  assert.is(await field.outcome(), "trust/below-floor");
  assert.is(await field.world.answer(1), 1);
});

siege("an order with a new key waits for a repository that can't be reached", async (field) => {
  await field.repository.rotate("assignments", field.now);
  field.tampered.set("metadata/2.root.json", "down");
  field.order(await field.release({ version: "2" }));
  assert.is(await field.outcome(), "trust/unreachable");
  field.tampered.clear();
  while ((await field.outcome()) !== "COMMITTED") assert.is(field.world.report.code, "trust/unreachable");
  assert.is(field.world.report.active?.version, "2");
});

test.run();
