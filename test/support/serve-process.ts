import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";

const target = new URL("./serve-target.ts", import.meta.url).pathname;

/** The server of `serve-target.ts`, alone on one core while this process keeps to another, where there are two. */
export class ServeProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(model: string, socket: string): Promise<ServeProcess> {
    const pinned = cpus().length > 1 && existsSync("/usr/bin/taskset");
    const command = [process.execPath, "--import", "tsx", target, model, socket];
    const [file, ...args] = pinned ? ["taskset", "-c", "0", ...command] : command;
    if (pinned) execFileSync("taskset", ["-a", "-p", "-c", "1", String(process.pid)], { stdio: "ignore" });
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("exit", () => reject(new Error("the server ended")));
    });
    return new ServeProcess(child);
  }

  /** User and system time: proc(5), stat, fields 14 and 15, in ticks of 10 ms. */
  get cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  get rssMb(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1]) / 1024;
  }

  stop(): void {
    this.#child.kill();
  }
}
