import { systemClock } from "../../runtime/base/clock.ts";
import { uniform } from "../../runtime/base/random.ts";
import { disk } from "../../runtime/store/disk.ts";
import { untilSignal } from "../cli/signal.ts";
import { readDeskConfig } from "./desk.ts";
import { Repository } from "./repository.ts";
import { SimulatedDevice } from "./simulate.ts";

export interface SimulateOptions {
  readonly config: string;
  readonly devices: number;
  readonly seed: number;
  readonly stepMs: number;
  readonly healthSeconds: number;
  readonly json?: boolean;
}

/** Between two joining devices: a broker takes some hundred connections a second. */
const JOIN_EVERY_MS = 4;

/** `polaredge fleet simulate`: devices at the broker until a signal. @throws Failure config/invalid, input/missing */
export async function simulate({
  config,
  devices: count,
  seed,
  stepMs,
  healthSeconds,
  json,
}: SimulateOptions): Promise<void> {
  const { broker, folder } = await readDeskConfig(config);
  const repository = await Repository.open(disk, folder);
  const parts = {
    broker,
    signers: repository.signers,
    manifestOf: async (target: string) => (await Repository.open(disk, folder)).manifest(target),
    isBad: ({ notes }: { readonly notes?: string | undefined }) => notes === "bad",
    random: uniform(seed),
    stepMs,
    healthMs: 1000 * healthSeconds,
  };
  const devices: SimulatedDevice[] = [];
  for (let i = 0; i < count; i++) {
    devices.push(new SimulatedDevice(`sim-${i}`, undefined, parts));
    await systemClock.sleep(JOIN_EVERY_MS);
  }
  const joined = { devices: count, first: "sim-0", last: `sim-${count - 1}`, broker: broker.url };
  console.log(
    json
      ? JSON.stringify(joined)
      : `${count} devices, ${joined.first} to ${joined.last}, at ${broker.url}; Ctrl-C ends them`,
  );
  await untilSignal();
  await Promise.all(devices.map((device) => device.close()));
}
