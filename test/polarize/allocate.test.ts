import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { frontier, type Option, within } from "../../runtime/polarize/mix/allocate.ts";

const test = suite("allocate");

function randomGroups(seed: number, groups: number, options: number): Option[][] {
  const next = uniform(seed);
  return Array.from({ length: groups }, () =>
    Array.from({ length: options }, () => ({ cost: Math.floor(next() * 40), loss: next() })),
  );
}

/** Every way to take one option per group. */
function everything(groups: readonly Option[][]): Option[] {
  return groups.reduce<Option[]>(
    (sums, options) =>
      sums.flatMap((sum) => options.map(({ cost, loss }) => ({ cost: sum.cost + cost, loss: sum.loss + loss }))),
    [{ cost: 0, loss: 0 }],
  );
}

for (let seed = 1; seed <= 20; seed++) {
  test(`no choice beats the allocation for any budget (seed ${seed})`, () => {
    const groups = randomGroups(seed, 5, 5);
    const all = everything(groups);
    const allocations = frontier(groups);
    for (let budget = 0; budget <= 200; budget += 7) {
      const best = Math.min(...all.filter(({ cost }) => cost <= budget).map(({ loss }) => loss));
      const found = within(allocations, budget)?.loss ?? Number.POSITIVE_INFINITY;
      assert.ok(found === best || Math.abs(found - best) < 1e-12, `budget ${budget}: ${found} instead of ${best}`);
    }
  });
}

test("an allocation says what was chosen, group by group", () => {
  const groups = randomGroups(3, 4, 6);
  for (const { cost, loss, chosen } of frontier(groups)) {
    for (const [i, option] of chosen.entries()) assert.ok(groups[i].includes(option));
    assert.is(
      chosen.reduce((sum, option) => sum + option.cost, 0),
      cost,
    );
    assert.ok(Math.abs(chosen.reduce((sum, option) => sum + option.loss, 0) - loss) < 1e-12);
  }
});

test("a budget below the cheapest choice buys nothing", () => {
  assert.is(within(frontier([[{ cost: 3, loss: 0 }], [{ cost: 4, loss: 0 }]]), 6), undefined);
});

test.run();
