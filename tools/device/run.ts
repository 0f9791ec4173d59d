import { loadConfig } from "../../runtime/config.ts";
import { startDevice } from "../../runtime/main.ts";
import { EXIT } from "../cli/exit.ts";
import { untilSignal } from "../cli/signal.ts";
import { supervisorOf } from "./supervisor.ts";

/**
 * `polaredge run`: until SIGTERM or SIGINT, then the work at hand is put away and 0 returned. A second signal ends at
 * once. Under systemd it says when it is ready and that inferences still come through (deploy/polaredge.service).
 * @throws Failure config/..., profile/..., store/corrupt: the device could not start
 */
export async function run({ config }: { readonly config: string }): Promise<number> {
  const { agent, log, stop } = await startDevice(await loadConfig(config));
  const supervisor = supervisorOf(process.env, (error) => log.warn("the service manager can't be told", { error }));
  const signaled = untilSignal();
  await supervisor.ready(() => agent.serving.turn());
  log.info("stopping", { signal: await signaled });
  await supervisor.stopping();
  await stop();
  return EXIT.ok;
}
