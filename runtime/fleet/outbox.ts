import { join } from "node:path";
import { sha256 } from "../store/digest.ts";
import { type Files, replace } from "../store/files.ts";
import type { FleetEvent } from "./topics.ts";

/** More than that is kept of nothing: the disk of a device that nobody hears must not fill up. */
const MAX_EVENTS = 1000;

/**
 * Events on their way out: on disk before anything is sent, gone when the broker has taken them. After a power cut some
 * may be sent again; boot and number tell. A file of lines, each with the start of its own digest, so that a torn one
 * is noticed.
 */
export class Outbox {
  readonly #files: Files;
  readonly #path: string;
  #waiting: FleetEvent[] = [];
  #lines = 0;
  #dropped = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(files: Files, folder: string) {
    this.#files = files;
    this.#path = join(folder, "outbox.jsonl");
  }

  /** What an earlier process did not get rid of. A disk that takes no more is no reason not to start. */
  static async open(files: Files, folder: string): Promise<Outbox> {
    const outbox = new Outbox(files, folder);
    const data = await files.read(outbox.#path);
    outbox.#waiting = new TextDecoder().decode(data).split("\n").flatMap(eventIn);
    await outbox.#rewrite().catch(() => undefined);
    return outbox;
  }

  /** Oldest first. */
  get waiting(): readonly FleetEvent[] {
    return this.#waiting;
  }

  /** Events that were given up since the start, because there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  /** On disk when this resolves, if the disk takes it; in memory in any case. */
  add(event: FleetEvent): Promise<void> {
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_EVENTS) this.#drop();
    return this.#write(async () => {
      if (this.#lines >= 2 * MAX_EVENTS) return this.#rewrite();
      this.#lines++;
      await this.#files.append(this.#path, new TextEncoder().encode(lineOf(event)));
      await this.#files.sync(this.#path);
    });
  }

  /** The broker has it. The file is shortened when nothing waits any more. */
  remove(event: FleetEvent): Promise<void> {
    this.#waiting = this.#waiting.filter((other) => other !== event);
    return this.#write(async () => {
      if (this.#waiting.length === 0 && this.#lines > 0) await this.#rewrite();
    });
  }

  /** What became of jobs is worth more than the rest, so that goes last. */
  #drop(): void {
    const at = this.#waiting.findIndex(({ code }) => !code.startsWith("job/"));
    this.#waiting.splice(Math.max(0, at), 1);
    this.#dropped++;
  }

  #write(action: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(action, action);
    return this.#last;
  }

  async #rewrite(): Promise<void> {
    await replace(this.#files, this.#path, new TextEncoder().encode(this.#waiting.map(lineOf).join("")));
    this.#lines = this.#waiting.length;
  }
}

function lineOf(event: FleetEvent): string {
  const text = JSON.stringify(event);
  return `${sha256(text).slice(0, 8)} ${text}\n`;
}

function eventIn(line: string): FleetEvent[] {
  const text = line.slice(9);
  return line !== "" && line.slice(0, 8) === sha256(text).slice(0, 8) ? [JSON.parse(text) as FleetEvent] : [];
}
