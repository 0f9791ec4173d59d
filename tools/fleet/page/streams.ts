import type { ServerResponse } from "node:http";
import type { Message } from "./feed.ts";

const MAX_STREAMS = 128;
/** Who reads so much slower than it comes is let go; the browser comes back and begins with a snapshot. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** So that proxies and browsers see that it lives. */
const BEAT_MS = 15_000;

/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) to many browsers. */
export class Streams {
  readonly #open = new Set<ServerResponse>();
  readonly #beat = setInterval(() => this.#each((response) => response.write(":\n\n")), BEAT_MS).unref();

  /** How to send; undefined if there are too many already. */
  open(response: ServerResponse): ((message: Message) => void) | undefined {
    if (this.#open.size >= MAX_STREAMS) return undefined;
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write("retry: 1000\n\n");
    return ({ event, data }) => {
      if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
      else response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    };
  }

  close(): void {
    clearInterval(this.#beat);
    this.#each((response) => response.end());
  }

  #each(action: (response: ServerResponse) => void): void {
    for (const response of this.#open) action(response);
  }
}
