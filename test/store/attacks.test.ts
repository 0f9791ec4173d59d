import { suite } from "uvu";
import * as assert from "uvu/assert";
import { attacks, besiege } from "../support/attacks.ts";

const test = suite("attacks");

for (const attack of attacks) {
  test(`${attack.name}: refused as ${attack.code}, and the model serves on`, async () => {
    const { code, before, after, right } = await besiege(attack);
    assert.is(code, attack.code);
    assert.ok(before);
    assert.equal([after, right], [before, true]);
  });
}

test.run();
