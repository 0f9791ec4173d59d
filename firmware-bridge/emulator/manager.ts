import { encode } from "cborg";
import { z } from "zod";
import { isFailure } from "../../runtime/base/failure.ts";
import { sha256 } from "../management/image.ts";
import { decodeMap, decodeSmp, type SmpCommand, type SmpError, smpErrors, smpOps } from "../management/smp.ts";
import { Refused } from "./chip.ts";
import { type Flash, imageIn, other } from "./flash.ts";

const ECHO_MOST = 256;
const bytes = z.instanceof(Uint8Array);
const number = z.number().int().min(0).max(0xffffffff);
/** What may be in any request; each command says what it needs. */
const fields = z.object({
  d: z.string().optional(),
  data: bytes.optional(),
  off: number.optional(),
  len: number.optional(),
  sha: bytes.optional(),
  hash: bytes.optional(),
  confirm: z.boolean().optional(),
});
type Fields = z.infer<typeof fields>;
type Values = Readonly<Record<string, unknown>>;

/** What a request is answered with instead of its reply. */
class Wrong extends Error {
  readonly error: SmpError;
  constructor(error: SmpError) {
    super(error);
    this.error = error;
  }
}

/** The device's side of management: the same answers as firmware/smp.c. */
export class Manager {
  readonly #flash: Flash;
  /** The image that is coming: it goes on where it stopped if the same one is begun again. */
  #upload: { readonly sha: Uint8Array; readonly length: number; offset: number } | undefined;
  #resetAsked = false;

  constructor(flash: Flash) {
    this.#flash = flash;
  }

  /** Whether the last message asked for a restart. */
  get resetAsked(): boolean {
    return this.#resetAsked;
  }

  /** As after a restart: an upload that was under way is forgotten. */
  start(): void {
    this.#upload = undefined;
    this.#resetAsked = false;
  }

  /** Answers a message of SMP. @throws Refused if it is none */
  answer(message: Uint8Array): Uint8Array {
    this.#resetAsked = false;
    const request = decodeSmp(message);
    if (!request || (request.op !== smpOps.read && request.op !== smpOps.write)) throw new Refused("malformed");
    const body = encode(this.#attempt(request.command, request.op, request.body));
    const reply = Buffer.concat([request.header, body]);
    reply.set([request.op + 1, 0, body.length >> 8, body.length & 0xff]);
    return reply;
  }

  #attempt(command: SmpCommand | undefined, op: number, body: Uint8Array): Values {
    try {
      return this.#execute(command, op, parseFields(body));
    } catch (error) {
      if (error instanceof Wrong) return { rc: smpErrors[error.error] };
      throw error;
    }
  }

  #execute(command: SmpCommand | undefined, op: number, given: Fields): Values {
    if (command === "echo") return echo(given);
    if (command === "state") return op === smpOps.read ? this.#state() : this.#change(given);
    if (op !== smpOps.write || command === undefined) throw new Wrong("unsupported");
    if (command === "upload") return this.#take(given);
    this.#resetAsked = true;
    return {};
  }

  #state(): Values {
    const flash = this.#flash;
    const images = [0, 1].flatMap((slot) => {
      const image = flash.image(slot);
      if (!image) return [];
      const active = slot === flash.active;
      return {
        slot,
        version: image.version,
        hash: Uint8Array.from(Buffer.from(image.hash, "hex")),
        bootable: flash.isForBoard(image),
        pending: !active && flash.pending,
        confirmed: active === flash.confirmed,
        active,
        permanent: false,
      };
    });
    return { images };
  }

  /** Marks the other image for a trial, or confirms the one that runs. */
  #change({ hash, confirm = false }: Fields): Values {
    const flash = this.#flash;
    const holds = (slot: number): boolean =>
      hash !== undefined && flash.image(slot)?.hash === Buffer.from(hash).toString("hex");
    const [running, waiting] = [holds(flash.active), holds(other(flash.active))];
    if (hash ? !running && !waiting : !confirm) throw new Wrong(hash ? "not-found" : "invalid");
    if (confirm) {
      if (hash && !running) throw new Wrong("bad-state");
      if (!flash.confirmed) flash.confirm();
      return this.#state();
    }
    if (!waiting || !flash.confirmed) throw new Wrong("bad-state");
    flash.test();
    return this.#state();
  }

  #take({ off, len, sha, data }: Fields): Values {
    if (off === undefined || data === undefined) throw new Wrong("invalid");
    if (!this.#flash.confirmed || this.#flash.pending) throw new Wrong("bad-state");
    if (off === 0) this.#begin(len, sha);
    const upload = this.#upload;
    if (!upload) throw new Wrong("bad-state");
    if (off === upload.offset && upload.offset < upload.length) {
      if (data.length > upload.length - off) throw new Wrong("invalid");
      const slot = other(this.#flash.active);
      this.#flash.slots[slot].set(data, off);
      upload.offset += data.length;
      if (upload.offset === upload.length) this.#judge(slot, upload.sha, upload.length);
    }
    return { off: upload.offset };
  }

  #begin(length: number | undefined, sha: Uint8Array | undefined): void {
    if (length === undefined || sha?.length !== 32) throw new Wrong("invalid");
    if (this.#upload?.length === length && Buffer.from(sha).equals(this.#upload.sha)) return;
    const slot = other(this.#flash.active);
    if (length > this.#flash.slots[slot].length) throw new Wrong("too-large");
    this.#flash.erase(slot);
    this.#upload = { sha: Uint8Array.from(sha), length, offset: 0 };
  }

  /** What has arrived as a whole is an image, undamaged and made for this board; else it is erased. */
  #judge(slot: number, sha: Uint8Array, length: number): void {
    const arrived = this.#flash.slots[slot].subarray(0, length);
    const image = sha256(arrived).equals(sha) ? imageIn(arrived) : undefined;
    if (image && this.#flash.isForBoard(image)) return;
    this.#upload = undefined;
    this.#flash.erase(slot);
    throw new Wrong(image ? "another-board" : "corrupt");
  }
}

function parseFields(body: Uint8Array): Fields {
  try {
    const parsed = fields.safeParse(decodeMap(body));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (!isFailure(error, "input/malformed")) throw error;
  }
  throw new Wrong("invalid");
}

function echo({ d }: Fields): Values {
  if (d === undefined) throw new Wrong("invalid");
  if (Buffer.byteLength(d) > ECHO_MOST) throw new Wrong("too-large");
  return { r: d };
}
