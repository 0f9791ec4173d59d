import type { IncomingMessage } from "node:http";
import { Failure } from "../base/failure.ts";

/** A body above this is refused before it is read: hundreds of images. */
export const MAX_BODY_BYTES: number = 16 * 1024 * 1024;
/** Of all bodies that are held at one time, so that a burst can't take the device's memory. */
const MAX_HELD_BYTES = 2 * MAX_BODY_BYTES;

/** Where the bodies of requests come in: so much each, so much together. */
export class Intake {
  #heldBytes = 0;

  /**
   * Hands the body over in one piece; it counts as held until `use` is done.
   * @throws Failure serve/too-large, serve/busy, serve/malformed where it ends early
   */
  async take<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T> {
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
    let length = 0;
    try {
      const body = await new Promise<Buffer>((resolve, reject) => {
        const parts: Buffer[] = [];
        const add = (part: Buffer): void => {
          length += part.length;
          this.#heldBytes += part.length;
          parts.push(part);
          if (length <= MAX_BODY_BYTES && this.#heldBytes <= MAX_HELD_BYTES) return;
          request.off("data", add);
          reject(length > MAX_BODY_BYTES ? tooLarge() : new Failure("serve/busy", "too many bodies; ask again later"));
        };
        request.on("data", add);
        request.once("end", () => resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts)));
        request.once("error", () => reject(new Failure("serve/malformed", "the body ends early")));
      });
      return await use(body);
    } finally {
      this.#heldBytes -= length;
    }
  }
}

function tooLarge(): Failure {
  return new Failure("serve/too-large", `a body of more than ${MAX_BODY_BYTES} bytes; send fewer samples at a time`);
}
