import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Lifetime, planMemory } from "../../runtime/plan/memory.ts";

const test = suite("memory");

const lifetimes = fc
  .array(fc.record({ bytes: fc.integer({ min: 0, max: 5000 }), first: fc.nat(20), length: fc.nat(6) }), {
    maxLength: 24,
  })
  .map((all) =>
    all.map(({ bytes, first, length }, i): Lifetime => ({ name: `b${i}`, bytes, first, last: first + length })),
  );

test("buffers that live at the same time never overlap, and all are aligned and inside", () => {
  fc.assert(
    fc.property(lifetimes, (all) => {
      const { offsets, bytes } = planMemory(all);
      const at = (life: Lifetime): number => offsets.get(life.name) ?? -1;
      for (const a of all) {
        assert.ok(at(a) >= 0 && at(a) % 16 === 0 && at(a) + a.bytes <= bytes);
        for (const b of all) {
          const together = a !== b && a.first <= b.last && b.first <= a.last;
          const apart = at(a) + a.bytes <= at(b) || at(b) + b.bytes <= at(a);
          assert.ok(!together || apart || a.bytes === 0 || b.bytes === 0, `${a.name} and ${b.name}`);
        }
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("a chain needs its two greatest neighbours, not the sum of all", () => {
  const chain = [1000, 400, 300, 900].map((bytes, i) => ({ name: `v${i}`, bytes, first: i, last: i + 1 }));
  assert.ok(planMemory(chain).bytes <= 1424);
});

test.run();
