import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exchange, TIMER } from "../../firmware-bridge/exchange.ts";
import type { Frame } from "../../firmware-bridge/protocol/frame.ts";

const test = suite("exchange");
const PING = 2;
const wide = { window: 4, bufferBytes: 16384 };
const payload = new Uint8Array(4);
const reply = (sequence: number, command: number = PING): Frame => ({
  kind: "reply",
  command,
  sequence,
  ack: sequence,
  payload,
});
const sequences = (frames: readonly Frame[]): number[] => frames.map(({ sequence }) => sequence);

/** An exchange with requests "a", "b", ... submitted at time 0. */
function started(count: number, credits: typeof wide = wide): { exchange: Exchange<string>; sent: number[] } {
  const exchange = new Exchange<string>(credits);
  const sent = Array.from({ length: count }, (_, i) => exchange.submit("abcdefgh"[i], PING, payload, 0));
  return { exchange, sent: sequences(sent.flat()) };
}

test("no more requests are under way than the window allows; an answer lets the next one go", () => {
  const { exchange, sent } = started(6);
  assert.equal(sent, [0, 1, 2, 3]);
  const { ticket, send } = exchange.receive(reply(0), 5);
  assert.is(ticket, "a");
  assert.equal(sequences(send), [4]);
});

test("no more bytes are under way than the device can hold, but one request always may", () => {
  assert.equal(started(4, { window: 4, bufferBytes: 40 }).sent, [0, 1]);
  assert.equal(started(4, { window: 4, bufferBytes: 1 }).sent, [0]);
});

test("the window is counted from the oldest request, so the device's memory of answers suffices", () => {
  const { exchange } = started(4);
  const released = [1, 2, 3].flatMap((sequence) => exchange.receive(reply(sequence), 5).send);
  assert.equal(exchange.submit("e", PING, payload, 5), []);
  assert.equal(new Set(sequences(released)), new Set([0]), "only repetitions of the oldest");
  assert.equal(sequences(exchange.receive(reply(0), 6).send), [4]);
});

test("requests carry the oldest number that is still open", () => {
  const { exchange } = started(2);
  exchange.receive(reply(0), 1);
  assert.equal(
    exchange.submit("c", PING, payload, 2).map(({ sequence, ack }) => [sequence, ack]),
    [[2, 1]],
  );
});

test("what is proven to be lost is repeated again soon, if its repetition is lost too", () => {
  const { exchange } = started(3);
  exchange.receive(reply(2), 7);
  exchange.receive(reply(1), 8);
  assert.ok(exchange.deadlineMs <= 7 + Math.max(TIMER.provenMs, 7 + 4 * 3.5), String(exchange.deadlineMs));
  const again = exchange.expire(exchange.deadlineMs);
  assert.equal([sequences(again.send), again.lost], [[0], false]);
});

test("an answer proves that what was sent before it and has none is lost", () => {
  const { exchange } = started(3);
  assert.equal(sequences(exchange.receive(reply(2), 7).send), [0, 1]);
  assert.is(exchange.counters.retransmits, 2);
  assert.equal(sequences(exchange.receive(reply(1), 9).send), [], "an answer to a repetition proves nothing");
});

test("answers that nobody waits for are counted and change nothing", () => {
  const { exchange } = started(1);
  assert.is(exchange.receive(reply(9), 1).ticket, undefined);
  assert.is(exchange.receive(reply(0, PING + 1), 1).ticket, undefined);
  assert.is(exchange.receive(reply(0), 1).ticket, "a");
  assert.is(exchange.receive(reply(0), 1).ticket, undefined);
  assert.is(exchange.counters.duplicates, 3);
});

test("the timer starts at half a second and grows to two", () => {
  const { exchange } = started(1);
  const waits: number[] = [];
  for (let now = 0, i = 0; i < 4; i++) {
    waits.push(exchange.deadlineMs - now);
    now = exchange.deadlineMs;
    assert.equal(sequences(exchange.expire(now).send), [0]);
  }
  assert.equal(waits, [500, 1000, 2000, 2000]);
});

test("the timer learns the round trip (RFC 6298): 100 ms and half of it as variance, then both converge", () => {
  const { exchange } = started(1);
  exchange.receive(reply(0), 100);
  exchange.submit("b", PING, payload, 100);
  assert.is(exchange.deadlineMs, 100 + 100 + 4 * 50);
  let now = 100;
  for (let i = 1; i < 200; i++) {
    now += 10;
    exchange.receive(reply(i & 0xff), now);
    exchange.submit("c", PING, payload, now);
  }
  assert.ok(Math.abs((exchange.roundTripMs ?? 0) - 10) < 0.1);
  assert.is(exchange.deadlineMs, now + TIMER.minMs, "never below the least");
});

test("a device that becomes ten times as slow is not sent everything twice", () => {
  const { exchange } = started(4);
  const answers: number[] = [];
  let now = 0;
  const serve = (eachMs: number, count: number): void => {
    for (let i = 0; i < count; i++) {
      for (const end = now + eachMs; now < end; now++) exchange.expire(now);
      exchange.receive(reply(answers.length & 0xff), now);
      answers.push(now);
      exchange.submit("b", PING, payload, now);
    }
  };
  serve(10, 100);
  assert.is(exchange.counters.retransmits, 0);
  serve(99, 100);
  assert.is(exchange.counters.retransmits, 0, "each answer starts the timer anew");
  serve(10, 100);
  serve(350, 100);
  assert.ok(exchange.counters.retransmits <= 8, `${exchange.counters.retransmits} for nothing while it learned`);
});

test("one request without an answer after all its tries means that the device is gone", () => {
  const { exchange } = started(1);
  let [tries, lost] = [1, false];
  while (!lost) {
    const result = exchange.expire(exchange.deadlineMs);
    lost = result.lost;
    tries += result.send.length;
  }
  assert.is(tries, TIMER.tries);
  assert.equal(exchange.clear(), ["a"]);
  assert.ok(exchange.idle);
});

test("as long as other requests are answered, one without an answer has half a minute", () => {
  const { exchange } = started(1, { window: 127, bufferBytes: 16384 });
  let lostAt = 0;
  for (let now = 0; lostAt === 0; now += 100) {
    const others = now % 2000 === 0 ? exchange.submit("b", PING, payload, now) : [];
    for (const { sequence } of others) exchange.receive(reply(sequence), now);
    if (exchange.expire(now).lost) lostAt = now;
  }
  assert.ok(lostAt >= TIMER.hopelessMs && lostAt <= TIMER.hopelessMs + TIMER.maxMs, `${lostAt} ms`);
});

test("numbers wrap around after 255", () => {
  const { exchange } = started(1);
  for (let i = 0; i < 600; i++) {
    assert.is(exchange.receive(reply(i & 0xff), i).ticket, "a", `answer ${i}`);
    exchange.submit("a", PING, payload, i);
  }
});

test.run();
