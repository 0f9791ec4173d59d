import { loadConfig } from "../runtime/config.ts";
import { startDevice } from "../runtime/main.ts";
import { EXIT } from "./exit.ts";
import { untilSignal } from "./signal.ts";

/**
 * `polaredge run`: until SIGTERM or SIGINT, then the work at hand is put away and 0 returned. A second signal ends at
 * once.
 * @throws Failure config/..., profile/..., store/corrupt: the device could not start
 */
export async function run({ config }: { readonly config: string }): Promise<number> {
  const device = await startDevice(await loadConfig(config));
  const signal = await untilSignal();
  device.log.info("stopping", { signal });
  await device.stop();
  return EXIT.ok;
}
