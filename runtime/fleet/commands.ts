import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/failure.ts";
import { type Command, type CommandBody, commandBody, commandNames, nameOf, type Reply, topicOf } from "./topics.ts";

/** A message on `cmd/<name>`, as it came from the broker. */
export interface CommandMessage {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
  /** MQTT 5 only. */
  readonly responseTopic?: string | undefined;
  readonly correlation?: Uint8Array | undefined;
}

export interface Answer {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly correlation?: Uint8Array | undefined;
}

const REMEMBER_MS = 10 * 60 * 1000;
const REMEMBER_COUNT = 1000;

/**
 * Each command once: a retained one is a mistake of its sender and would come again after every reconnect, and one
 * with an id that was seen in the last ten minutes is a repetition. Answers only go to the device's own `rsp/` topics.
 */
export class Commands {
  readonly #device: string;
  readonly #execute: (command: Command) => Promise<Reply>;
  readonly #clock: Clock;
  readonly #seen = new Map<string, number>();

  constructor(device: string, execute: (command: Command) => Promise<Reply>, clock: Clock) {
    this.#device = device;
    this.#execute = execute;
    this.#clock = clock;
  }

  /** Never throws. Undefined where nobody waits for an answer. */
  async take(message: CommandMessage): Promise<Answer | undefined> {
    if (message.retained) return undefined;
    const body = bodyOf(message.payload);
    const topic = this.#answerTopic(message, body?.replyTo);
    const id = message.correlation ? Buffer.from(message.correlation).toString("hex") : body?.id;
    if (id !== undefined && this.#repeated(id)) return undefined;
    const reply = body ? await this.#reply(message.name, body) : refuse("command: expected {id?, replyTo?, notAfter?}");
    if (!topic) return undefined;
    const payload = new TextEncoder().encode(JSON.stringify({ id: body?.id, ...reply }));
    return { topic, payload, correlation: message.correlation };
  }

  async #reply(name: string, { id = "", notAfter }: CommandBody): Promise<Reply> {
    if (notAfter !== undefined && this.#clock.now() > notAfter) {
      return { ok: false, code: "command/expired", message: `command: it was to be done by ${notAfter}` };
    }
    const known = commandNames.find((command) => command === name);
    if (!known) return refuse(`command: expected ${commandNames.join(" or ")}, found ${name}`);
    try {
      return await this.#execute({ name: known, id });
    } catch (error) {
      return { ok: false, code: "command/failed", message: messageOf(error) };
    }
  }

  #answerTopic({ responseTopic }: CommandMessage, replyTo: string | undefined): string | undefined {
    if (replyTo !== undefined) return topicOf(this.#device, `rsp/${replyTo}`);
    const own = responseTopic !== undefined && /^rsp\/[^/+#]+$/.test(nameOf(this.#device, responseTopic) ?? "");
    return own ? responseTopic : undefined;
  }

  #repeated(id: string): boolean {
    const now = this.#clock.uptimeMs();
    for (const [old, at] of this.#seen) {
      if (now - at < REMEMBER_MS && this.#seen.size < REMEMBER_COUNT) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(id)) return true;
    this.#seen.set(id, now);
    return false;
  }
}

function bodyOf(payload: Uint8Array): CommandBody | undefined {
  if (payload.length === 0) return {};
  try {
    return commandBody.safeParse(JSON.parse(new TextDecoder().decode(payload))).data;
  } catch {
    return undefined;
  }
}

function refuse(message: string): Reply {
  return { ok: false, code: "command/invalid", message };
}
