import { MemoryDisk } from "../support/memory-disk.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";
import { SimulatedFleet } from "../support/simulated-fleet.ts";

/** Devices of a fleet at one Mosquitto: a good release in three waves through trouble, and a bad one. */
const count = Number(process.argv[2] ?? 2000);
const seconds = (since: number): number => (performance.now() - since) / 1000;
const say = (text: string): void => console.log(`${seconds(began).toFixed(1).padStart(6)} s  ${text}`);
const began = performance.now();
if (!isHere()) process.exit(1);

const broker = await RealBroker.startOpen();
const fleet = await SimulatedFleet.open(broker.openUrl, 5, new MemoryDisk(), "/op");
const first = await fleet.release("1.0.0");
const rssBefore = process.memoryUsage().rss;
const joining = performance.now();
await fleet.join(count, first.target);
const perDeviceKb = (process.memoryUsage().rss - rssBefore) / 1024 / count;
say(`${count} devices joined, ${(count / seconds(joining)).toFixed(0)} a second, ${perDeviceKb.toFixed(0)} KB each`);

const good = await fleet.release("1.1.0");
await fleet.plan("good", "1.1.0", good);
const rolling = performance.now();
const heard = fleet.view.messages;
const reconnects: number[] = [];
let troubled = false;
const trouble = async (): Promise<void> => {
  for (const device of fleet.devices) if (fleet.random() < 0.3) device.cut();
  await broker.halt();
  await broker.begin();
  const up = performance.now();
  const waiting = new Set(fleet.devices);
  while (waiting.size > 0) {
    for (const device of waiting) {
      if (!device.connectedNow) continue;
      waiting.delete(device);
      reconnects.push(seconds(up));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
let troubles: Promise<void> = Promise.resolve();
const done = await fleet.engine.drive("good", ({ counts }) => {
  if (troubled || counts.succeeded < 0.3 * count) return;
  troubled = true;
  say(`${counts.succeeded} have it; 30 % of the connections are cut, and the broker restarts`);
  troubles = trouble();
});
const rolloutSeconds = seconds(rolling);
await troubles;
const median = reconnects.sort((a, b) => a - b)[reconnects.length >> 1] ?? Number.NaN;
const reported = [...fleet.view.devices.values()].filter(({ report }) => report?.active?.version === "1.1.0").length;
const messages = (fleet.view.messages - heard) / rolloutSeconds;
say(
  `${done.status}: ${reported} of ${count} report it by hash, ${(count / rolloutSeconds).toFixed(0)} devices a second`,
);
for (let wait = 0; wait < 100 && fleet.events.size < count; wait++) await fleet.view.change(200);
say(`${fleet.events.size} of ${count} events; reconnected in ${median.toFixed(1)} s (median)`);

const bad = await fleet.release("1.2.0", "bad");
await fleet.plan("bad", "1.2.0", bad);
const stopped = await fleet.engine.drive("bad");
for (let wait = 0; wait < 50 && fleet.serving("1.1.0") < count; wait++) await fleet.view.change(200);
await new Promise((resolve) => setTimeout(resolve, 1000));
const touched = fleet.devices.filter(({ state }) => state.seen?.jobId === "bad");
const back = touched.filter(({ state }) => state.active?.version === "1.1.0" && state.phase.at === "IDLE").length;
say(`bad release ${stopped.status}: ${touched.length} devices touched, ${back} of them rolled back by themselves`);

await fleet.end();
await broker.stop();
const held = {
  done: done.status === "done" && reported === count,
  events: fleet.events.size >= count,
  reconnect: median <= 5,
  bad: stopped.status === "paused" && touched.length <= Math.ceil(count / 100) && back === touched.length,
};
const failed = Object.entries(held).flatMap(([name, good]) => (good ? [] : [name]));
console.log(
  `fleet: ${count} devices, ${(count / rolloutSeconds).toFixed(0)} devices/s, ${messages.toFixed(0)} messages/s to the operator, ` +
    `${perDeviceKb.toFixed(0)} KB per device, reconnect ${median.toFixed(1)} s; ${failed.length === 0 ? "all held" : `FAILED: ${failed}`}`,
);
process.exit(failed.length === 0 ? 0 : 1);
