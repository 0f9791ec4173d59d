import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Failure } from "../../runtime/base/failure.ts";
import type { Contender, Figures, Order, Reply } from "./protocol.ts";

/** This file's neighbour: source while developing, compiled in a package. */
const WORKER = fileURLToPath(new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url));

/** A fresh process that measures one contender and rests until it is its turn. */
export class Lane {
  readonly contender: Contender;
  readonly coldMs: number;
  readonly #process: ChildProcess;

  private constructor(contender: Contender, child: ChildProcess, coldMs: number) {
    this.contender = contender;
    this.#process = child;
    this.coldMs = coldMs;
  }

  static async open(contender: Contender): Promise<Lane> {
    const child = fork(WORKER, [contender.engine, contender.file], { stdio: "ignore" });
    const reply = await answer(child, contender);
    if (reply.type === "ready") return new Lane(contender, child, reply.coldMs);
    throw new Error(`${contender.name} began with ${reply.type}`);
  }

  async round(): Promise<void> {
    await this.#ask("round");
  }

  async finish(): Promise<Figures> {
    const reply = await this.#ask("finish");
    if (reply.type === "figures") return reply.figures;
    throw new Error(`${this.contender.name} ended with ${reply.type}`);
  }

  kill(): void {
    this.#process.kill();
  }

  #ask(order: Order): Promise<Reply> {
    const reply = answer(this.#process, this.contender);
    this.#process.send(order);
    return reply;
  }
}

/** The next reply. @throws Failure input/malformed when the engine can't run its file */
function answer(child: ChildProcess, { name, file }: Contender): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Failure("input/malformed", `${name} can't run ${file}: ${why}`));
    const ended = (code: number | null): void => fail(`its process ended with ${code}`);
    child.once("exit", ended);
    child.once("message", (reply: Reply) => {
      child.off("exit", ended);
      if (reply.type === "failed") fail(reply.message);
      else resolve(reply);
    });
  });
}
