import { suite } from "uvu";
import * as assert from "uvu/assert";
import { changes, explore } from "../support/power-cuts.ts";

const test = suite("power cut");

for (const change of changes) {
  test(`${change.name}: cut at moments all over, once and twice, leaves the old model or the new`, async () => {
    const { states, repeated, ...bad } = await explore(change, 3, 2, 1);
    assert.equal(bad, { bricks: 0, lost: 0, backwards: 0, stuck: 0 });
    assert.ok(states >= 48 && repeated >= 24, `${states} states, ${repeated} of them after two cuts`);
  });
}

test.run();
