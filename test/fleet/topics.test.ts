import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CommandMessage, Commands } from "../../runtime/fleet/commands.ts";
import { readJob } from "../../runtime/fleet/jobs.ts";
import { encodePayload, nameOf, topicOf, topics } from "../../runtime/fleet/topics.ts";
import { fakeRelease, payload } from "../support/jobs.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const test = suite("topics");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a topic is found by its name, and the other way round, of this device only", () => {
  for (const name of Object.keys(topics)) assert.is(nameOf("pi-1", topicOf("pi-1", name)), name);
  assert.is(nameOf("pi-1", topicOf("pi-10", "state")), undefined);
});

test("the page for people names no topic that is none, and says right what is kept", () => {
  const page = readFileSync("runtime/fleet/TOPICS.md", "utf8");
  const rows = [...page.matchAll(/^\| `([^`]+)` \| (device|fleet) \| (yes|no) \|/gm)];
  assert.ok(rows.length >= 11);
  for (const [, name = "", from, kept] of rows) {
    const spec = topics[name.replace(/<\w+>/, "+") as keyof typeof topics];
    assert.equal([spec?.from, spec?.retain], [from, kept === "yes"], name);
  }
});

test("what describes a state is retained, what happens is not", () => {
  const retained = Object.entries(topics)
    .filter(([, { retain }]) => retain)
    .map(([name]) => name);
  assert.equal(retained, ["online", "info", "state", "layers", "history", "job/reported", "job/update", "job/desired"]);
});

test("online is a bare word", () => {
  assert.equal([...encodePayload("online", "offline")], [...bytes("offline")]);
});

function commands(): {
  clock: VirtualClock;
  taken: string[];
  take: (message: Partial<CommandMessage>) => Promise<string>;
} {
  const clock = new VirtualClock();
  const taken: string[] = [];
  const all = new Commands(
    "pi-1",
    async ({ name }) => {
      taken.push(name);
      if (taken.length > 3000) throw new Error("tired");
      return { ok: true, result: {} };
    },
    clock,
  );
  const take = async (message: Partial<CommandMessage>): Promise<string> => {
    const answer = await all.take({ name: "ping", payload: bytes("{}"), retained: false, ...message });
    return answer ? `${answer.topic} ${new TextDecoder().decode(answer.payload)}` : "nothing";
  };
  return { clock, taken, take };
}

const answer = "polaredge/v1/pi-1/rsp/desk";
const cases: readonly {
  readonly name: string;
  readonly message: Partial<CommandMessage>;
  readonly says: RegExp;
  readonly taken: number;
}[] = [
  { name: "without a wish for an answer", message: {}, says: /^nothing$/, taken: 1 },
  { name: "that is empty", message: { payload: new Uint8Array() }, says: /^nothing$/, taken: 1 },
  { name: "that is retained", message: { retained: true, responseTopic: answer }, says: /^nothing$/, taken: 0 },
  { name: "of MQTT 5", message: { responseTopic: answer }, says: /rsp\/desk \{"ok":true/, taken: 1 },
  {
    name: "of 3.1.1",
    message: { payload: bytes('{"id":"7","replyTo":"desk"}') },
    says: /rsp\/desk \{"id":"7","ok":true/,
    taken: 1,
  },
  { name: "that is unknown", message: { name: "shell", responseTopic: answer }, says: /"command\/invalid"/, taken: 0 },
  { name: "that is no JSON", message: { payload: bytes("{"), responseTopic: answer }, says: /invalid/, taken: 0 },
  {
    name: "with more than it should have",
    message: { payload: bytes('{"rm":1}'), responseTopic: answer },
    says: /invalid/,
    taken: 0,
  },
  {
    name: "that has waited too long",
    message: { payload: bytes('{"notAfter":1699999999999}'), responseTopic: answer },
    says: /"command\/expired"/,
    taken: 0,
  },
  {
    name: "that is in time",
    message: { payload: bytes('{"notAfter":1700000000000}'), responseTopic: answer },
    says: /"ok":true/,
    taken: 1,
  },
  {
    name: "that wants its answer to be somebody else's command",
    message: { responseTopic: "polaredge/v1/pi-2/cmd/recalibrate" },
    says: /^nothing$/,
    taken: 1,
  },
  {
    name: "that wants its answer everywhere",
    message: { payload: bytes('{"replyTo":"../#"}') },
    says: /^nothing$/,
    taken: 0,
  },
];

for (const { name, message, says, taken: count } of cases) {
  test(`a command ${name}`, async () => {
    const { take, taken } = commands();
    assert.match(await take(message), says);
    assert.is(taken.length, count);
  });
}

test("a command is done once in ten minutes, whichever way it is numbered", async () => {
  const { take, taken, clock } = commands();
  const numbered = { payload: bytes('{"id":"7"}') };
  const correlated = { correlation: Uint8Array.of(1, 2), responseTopic: answer };
  for (const message of [numbered, numbered, correlated, correlated]) await take(message);
  assert.is(taken.length, 2);
  clock.advance(10 * 60 * 1000);
  await take(numbered);
  assert.is(taken.length, 3);
});

test("the memory of ids is bounded, and a command that fails is answered", async () => {
  const { take } = commands();
  for (let id = 0; id < 3000; id++) await take({ payload: bytes(`{"id":"${id}"}`) });
  assert.match(await take({ responseTopic: answer }), /"command\/failed","message":"tired"/);
});

test("property: whatever comes as a job, it is judged and never thrown", () => {
  const good = fakeRelease({ version: "1" }).job(5);
  const damaged = fc.record({
    key: fc.constantFrom("v", "jobId", "seq", "device", "action", "model", "calibration", "trial", "accept", "x"),
    value: fc.jsonValue(),
  });
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.jsonValue().map(payload),
    damaged.map(({ key, value }) => payload({ ...good, [key]: value })),
  );
  fc.assert(
    fc.property(payloads, fc.constantFrom("signed" as const, "unsigned" as const), (data, form) => {
      const { kind } = readJob(data, "y", { device: "pi-1", seen: { seq: 4, hash: "x" }, nowMs: 0, form });
      assert.ok(["job", "refused"].includes(kind));
    }),
  );
});

test("a job gets the defaults it leaves out", () => {
  const { accept, trial, ...rest } = fakeRelease({ version: "1" }).job(1);
  const reading = readJob(payload(rest), "y", { device: "pi-1", seen: undefined, nowMs: 0, form: "unsigned" });
  assert.ok(reading.kind === "job" && "trial" in reading.job);
  assert.equal(
    [reading.job.accept, reading.job.trial],
    [{ minAgreementPct: 90 }, { passes: 3, seconds: 30, minInferences: 0 }],
  );
});

test.run();
