import { randomInt } from "node:crypto";
import { Failure, isFailure } from "../runtime/base/failure.ts";
import { Exchange, type ExchangeCounters, noRequests } from "./exchange.ts";
import {
  callOut,
  checkLink,
  checkVersion,
  defaultTiming,
  helloReply,
  type SessionTiming,
  unanswered,
} from "./greeting.ts";
import { decodeReply, encodeRequest } from "./protocol/codec.ts";
import { type CommandName, commands, type Reply, type Request, refusalOf } from "./protocol/commands.ts";
import { Deframer, encodeFrame, type Frame, type FrameCounters, noFrames } from "./protocol/frame.ts";
import type { Connect, Transport } from "./transport/transport.ts";

/** What the device said of itself in HELLO_ACK. */
export type DeviceInfo = Omit<Reply<"hello">, "uid"> & { readonly uid: string };

export interface LinkHealth extends Readonly<FrameCounters>, Readonly<ExchangeCounters> {
  readonly connected: boolean;
  /** Times that the device restarted, or the link was lost. */
  readonly resets: number;
  readonly losses: number;
  readonly roundTripMs: number | undefined;
}

interface Ticket {
  readonly command: CommandName;
  resolve(reply: unknown): void;
  reject(error: Failure): void;
}

/** The line as it is now; another one after each `reconnect`. */
interface Line {
  readonly transport: Transport;
  readonly deframer: Deframer;
  /** Ends timers. */
  readonly ended: AbortController;
}

/**
 * A conversation with one device: HELLO, requests with answers, repetition, keepalive. It notices when the device
 * restarts (`reset`: the session is open again, but the tiles are empty) and when it is gone (`lost`: call
 * `reconnect`). Requests that were under way then fail; nothing is repeated into a device that forgot its tiles.
 */
export class Session {
  readonly #connect: Connect;
  readonly #timing: SessionTiming;
  #line: Line | undefined;
  #exchange = new Exchange<Ticket>({ window: 1, bufferBytes: 0 });
  #device: DeviceInfo | undefined;
  /** While HELLO is out. */
  #greeting: { readonly nonce: number; resolve(reply: Reply<"hello">): void } | undefined;
  #opening: Promise<void> | undefined;
  #heardMs = 0;
  #wakeMs = Number.POSITIVE_INFINITY;
  #timer = new AbortController();
  readonly #counters = { ...noFrames, ...noRequests, resets: 0, losses: 0 };
  readonly #listeners = new Set<(event: "reset" | "lost") => void>();

  constructor(connect: Connect, options: Partial<SessionTiming> = {}) {
    this.#connect = connect;
    this.#timing = { ...defaultTiming, ...options };
  }

  /**
   * Opens the line and the session.
   * @throws Failure `bridge/open`, `bridge/timeout` (nobody answers HELLO), `bridge/protocol-version`.
   */
  static async open(connect: Connect, options: Partial<SessionTiming> = {}): Promise<Session> {
    const session = new Session(connect, options);
    await session.reconnect();
    return session;
  }

  /** Of the last HELLO_ACK, also while the link is lost. */
  get device(): DeviceInfo {
    if (!this.#device) throw new Failure("bridge/disconnected", "the session was never open");
    return this.#device;
  }

  get connected(): boolean {
    return this.#line !== undefined && this.#greeting === undefined;
  }

  /** Counted over all lines since the start. */
  get health(): LinkHealth {
    return { ...this.#counters, connected: this.connected, roundTripMs: this.#exchange.roundTripMs };
  }

  /** Returns a function that ends the subscription. */
  listen(listener: (event: "reset" | "lost") => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Sends a request, as soon as the device has credits for it, and resolves with the reply.
   * @throws Failure `bridge/refused` (detail.refusal), `bridge/bad-reply`, `bridge/timeout` or `bridge/disconnected`.
   */
  async request<C extends CommandName>(command: C, values: Request<C>): Promise<Reply<C>> {
    await this.#opening;
    const payload = encodeRequest(command, values);
    return new Promise<Reply<C>>((resolve, reject) => {
      if (!this.connected) return reject(disconnected("there is no connection to the device"));
      const ticket: Ticket = { command, resolve: resolve as (reply: unknown) => void, reject };
      this.#send(this.#exchange.submit(ticket, commands[command].id, payload, this.#now()));
      this.#schedule();
    });
  }

  /** Closes the line if there is one, opens a new one and says HELLO. Calls that overlap share one attempt. */
  reconnect(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Resolves once a greeting that is under way is over, so that `device` is the one that is there now. */
  async settled(): Promise<void> {
    await this.#opening;
  }

  async close(): Promise<void> {
    await this.#hangUp(disconnected("the session was closed"));
  }

  async #open(): Promise<void> {
    await this.#hangUp(disconnected("the session was opened anew"));
    const transport = await this.#connect();
    const line = { transport, deframer: new Deframer(this.#counters), ended: new AbortController() };
    this.#line = line;
    transport.listen({
      data: (bytes) => {
        if (this.#line === line) for (const frame of line.deframer.push(bytes)) this.#receive(frame);
      },
      closed: (reason) => {
        if (this.#line === line) this.#lose(disconnected(`${transport.name}: ${reason}`));
      },
    });
    try {
      await this.#greet(line);
    } catch (error) {
      await this.#hangUp(isFailure(error) ? error : disconnected(String(error)));
      throw error;
    }
  }

  async #greet(line: Line): Promise<void> {
    const heardBefore = this.#heard();
    const nonce = randomInt(1, 2 ** 32);
    const done = new AbortController();
    const reply = new Promise<Reply<"hello">>((resolve) => {
      this.#greeting = { nonce, resolve };
    });
    const answered = await Promise.race([
      reply,
      callOut(line.transport, nonce, this.#timing, AbortSignal.any([done.signal, line.ended.signal])),
    ]);
    this.#greeting = undefined;
    done.abort();
    if (line.ended.signal.aborted) throw disconnected(`${line.transport.name} closed during HELLO`);
    if (answered === undefined) throw unanswered(line.transport, this.#heard() - heardBefore);
    checkVersion(line.transport, answered);
    checkLink(line.transport, answered);
    this.#device = { ...answered, uid: Buffer.from(answered.uid).toString("hex") };
    this.#exchange = new Exchange(answered, this.#counters);
    this.#heardMs = this.#now();
    this.#schedule();
  }

  #heard(): number {
    const { frames, malformed, crcErrors } = this.#counters;
    return frames + malformed + crcErrors;
  }

  #receive(frame: Frame): void {
    this.#heardMs = this.#now();
    if (frame.command === commands.hello.id) this.#hear(frame);
    else if (frame.kind !== "request" && this.connected) this.#answer(frame);
  }

  #answer(frame: Frame): void {
    const { ticket, send } = this.#exchange.receive(frame, this.#heardMs);
    this.#send(send);
    if (ticket) answer(ticket, frame);
    this.#schedule();
  }

  /** HELLO_ACK: the one that is awaited, a repetition of it, or the word of a device that has restarted. */
  #hear(frame: Frame): void {
    const reply = helloReply(frame);
    if (!reply) return;
    if (this.#greeting) {
      if (reply.nonce === this.#greeting.nonce) this.#greeting.resolve(reply);
      return;
    }
    if (!this.#line || this.#opening || reply.bootId === this.#device?.bootId) return;
    this.#restart(this.#line, reply.resetReason);
  }

  #restart(line: Line, reason: number): void {
    this.#counters.resets++;
    this.#settle(disconnected(`the device restarted (reason ${reason})`, { restarted: true }));
    this.#opening = this.#greet(line)
      .then(() => this.#tell("reset"))
      .catch((error) => this.#lose(isFailure(error) ? error : disconnected(String(error))))
      .finally(() => {
        this.#opening = undefined;
      });
  }

  #send(frames: readonly Frame[]): void {
    for (const frame of frames) this.#line?.transport.write(encodeFrame(frame));
  }

  /** One timer, for whatever comes first. A timer that would ring too early is left alone; `#wake` looks again. */
  #schedule(): void {
    const keepaliveMs = this.#exchange.idle ? this.#heardMs + this.#timing.keepaliveMs : Number.POSITIVE_INFINITY;
    const atMs = Math.min(keepaliveMs, this.#exchange.deadlineMs);
    const line = this.#line;
    if (!line || atMs >= this.#wakeMs) return;
    this.#timer.abort();
    this.#timer = new AbortController();
    this.#wakeMs = atMs;
    this.#timing.clock.sleep(Math.max(0, atMs - this.#now()), this.#timer.signal).then(
      () => this.#wake(line),
      () => {},
    );
  }

  async #wake(line: Line): Promise<void> {
    this.#wakeMs = Number.POSITIVE_INFINITY;
    // If the process was busy, answers may wait in the kernel: let them come in before anything counts as lost.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#line !== line || !this.connected) return;
    const { lost, send } = this.#exchange.expire(this.#now());
    if (lost) return this.#lose(new Failure("bridge/timeout", `${line.transport.name} does not answer any more`));
    this.#send(send);
    if (this.#exchange.idle && this.#now() - this.#heardMs >= this.#timing.keepaliveMs) this.#ping();
    this.#schedule();
  }

  #ping(): void {
    const ticket: Ticket = { command: "ping", resolve: () => {}, reject: () => {} };
    const payload = encodeRequest("ping", { token: 0 });
    this.#send(this.#exchange.submit(ticket, commands.ping.id, payload, this.#now()));
  }

  #lose(why: Failure): void {
    if (!this.#line) return;
    this.#counters.losses++;
    this.#hangUp(why).then(
      () => this.#tell("lost"),
      () => this.#tell("lost"),
    );
  }

  async #hangUp(why: Failure): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    this.#timer.abort();
    this.#wakeMs = Number.POSITIVE_INFINITY;
    this.#settle(why);
    line?.ended.abort();
    await line?.transport.close();
  }

  #settle(why: Failure): void {
    for (const ticket of this.#exchange.clear()) ticket.reject(why);
  }

  #tell(event: "reset" | "lost"): void {
    for (const listener of this.#listeners) listener(event);
  }

  #now(): number {
    return this.#timing.clock.uptimeMs();
  }
}

function answer(ticket: Ticket, { kind, payload }: Frame): void {
  if (kind === "refusal") {
    const refusal = refusalOf(payload[0]) ?? `code ${payload[0]}`;
    const message = `the device refused ${ticket.command}: ${refusal}`;
    ticket.reject(new Failure("bridge/refused", message, { command: ticket.command, refusal }));
    return;
  }
  try {
    ticket.resolve(decodeReply(ticket.command, payload));
  } catch (cause) {
    const message = `the reply to ${ticket.command} has ${payload.length} bytes that do not fit its fields`;
    ticket.reject(new Failure("bridge/bad-reply", message, { command: ticket.command }, cause));
  }
}

function disconnected(message: string, detail: Record<string, unknown> = {}): Failure {
  return new Failure("bridge/disconnected", message, detail);
}
