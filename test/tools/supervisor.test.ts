import { suite } from "uvu";
import * as assert from "uvu/assert";
import { supervisorOf } from "../../tools/device/supervisor.ts";
import { until } from "../support/until.ts";

const test = suite("supervisor");
const systemd = { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "30000" };
const never = (): never => {
  throw new Error("nobody is to be told");
};

test("it is said when the device is ready, that it is alive, and when it stops", async () => {
  const said: string[] = [];
  const supervisor = supervisorOf(systemd, never, async (...lines) => said.push(...lines));
  await supervisor.ready(async () => undefined);
  assert.equal(said, ["READY=1"]);
  await until("two beats", () => said.length >= 3);
  await supervisor.stopping();
  assert.equal([said[1], said.at(-1)], ["WATCHDOG=1", "STOPPING=1"]);
});

test("while an inference hangs, it is not said to be alive", async () => {
  const said: string[] = [];
  const supervisor = supervisorOf(systemd, never, async (...lines) => said.push(...lines));
  let asked = 0;
  await supervisor.ready(() => {
    asked++;
    return new Promise(() => undefined);
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal([said, asked], [["READY=1"], 1]);
  await supervisor.stopping();
});

test("without a service manager nothing is said", async () => {
  const supervisor = supervisorOf({}, never, never);
  await supervisor.ready(never);
  await supervisor.stopping();
});

test("a service manager that does not listen is no reason to fail", async () => {
  const errors: unknown[] = [];
  const supervisor = supervisorOf(
    { NOTIFY_SOCKET: "/none" },
    (error) => errors.push(error),
    async () => never(),
  );
  await supervisor.ready(async () => undefined);
  assert.is(errors.length, 1);
});

test.run();
