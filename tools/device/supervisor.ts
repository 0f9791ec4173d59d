import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The service manager that started this process; silent if none did that wants to hear. */
export interface Supervisor {
  /** The device is at work. From now on it is said to be alive as long as `alive` resolves. */
  ready(alive: () => Promise<unknown>): Promise<void>;
  stopping(): Promise<void>;
}

/** Says lines of sd_notify(3). */
export type Tell = (...lines: readonly string[]) => Promise<unknown>;

/** Node has no datagram sockets of Unix, so systemd's own program speaks; the unit has NotifyAccess=all for that. */
export const systemdNotify: Tell = (...lines) => promisify(execFile)("systemd-notify", lines);

const BEATS_PER_TIMEOUT = 3;

/** Environment and meaning of NOTIFY_SOCKET and WATCHDOG_USEC (microseconds): sd_notify(3), sd_watchdog_enabled(3). */
export function supervisorOf(
  { NOTIFY_SOCKET, WATCHDOG_USEC }: NodeJS.ProcessEnv,
  onError: (error: unknown) => void,
  tell: Tell = systemdNotify,
): Supervisor {
  if (!NOTIFY_SOCKET) return { ready: async () => undefined, stopping: async () => undefined };
  const say: Tell = (...lines) => tell(...lines).catch(onError);
  let beating: NodeJS.Timeout | undefined;
  return {
    async ready(alive) {
      await say("READY=1");
      if (!WATCHDOG_USEC) return;
      let waiting = false;
      const beat = async (): Promise<void> => {
        if (waiting) return;
        waiting = true;
        await alive();
        waiting = false;
        await say("WATCHDOG=1");
      };
      const everyMs = Number(WATCHDOG_USEC) / 1000 / BEATS_PER_TIMEOUT;
      beating = setInterval(() => void beat().catch(onError), everyMs).unref();
    },
    async stopping() {
      clearInterval(beating);
      await say("STOPPING=1");
    },
  };
}
