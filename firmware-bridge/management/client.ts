import { z } from "zod";
import { Failure, type FailureCode, isFailure } from "../../runtime/base/failure.ts";
import { features } from "../protocol/commands.ts";
import type { Session } from "../session.ts";
import { sha256 } from "./image.ts";
import {
  decodeMap,
  decodeSmp,
  encodeSmp,
  SMP_HEADER_BYTES,
  type SmpCommand,
  type SmpError,
  smpErrors,
  smpOps,
} from "./smp.ts";

/** An image as the device tells of it. */
export interface ImageState {
  readonly slot: number;
  readonly version: string;
  /** Hexadecimal. */
  readonly hash: string;
  readonly active: boolean;
  /** It will be tried at the next start. */
  readonly pending: boolean;
  readonly confirmed: boolean;
}

const stateReply = z.object({
  images: z.array(
    z.object({
      slot: z.number(),
      version: z.string(),
      hash: z.instanceof(Uint8Array).transform((hash) => Buffer.from(hash).toString("hex")),
      active: z.boolean().default(false),
      pending: z.boolean().default(false),
      confirmed: z.boolean().default(false),
    }),
  ),
});

const uploadReply = z.object({ off: z.number().int().min(0) });
const nothing = z.object({});

/** What a chunk's message has besides its bytes: the command's length, the map, "off" and "data" with their numbers. */
const AROUND_CHUNK = 2 + SMP_HEADER_BYTES + 1 + 9 + 8;
/** The first one is no more than the image's header: the device may have more than that already. */
const FIRST_CHUNK = 32;
/** Times that the device may say the same offset again. */
const UPLOAD_TRIES = 5;

/** @throws Failure `firmware/unsupported` */
export function checkManaged({ device }: Session): void {
  if ((device.features & features.manage) !== 0) return;
  throw new Failure("firmware/unsupported", `device ${device.uid} does not offer to replace its firmware`);
}

/** @throws Failure `firmware/...`, or as Session.request */
export async function readImages(session: Session): Promise<readonly ImageState[]> {
  return (await ask(session, smpOps.read, "state", {}, stateReply)).images;
}

/** Has the device try an image at its next start. */
export async function testImage(session: Session, hash: string): Promise<readonly ImageState[]> {
  return (await ask(session, smpOps.write, "state", { hash: Buffer.from(hash, "hex") }, stateReply)).images;
}

/** Keeps the image that runs. */
export async function confirmImage(session: Session, hash: string): Promise<readonly ImageState[]> {
  const values = { hash: Buffer.from(hash, "hex"), confirm: true };
  return (await ask(session, smpOps.write, "state", values, stateReply)).images;
}

/**
 * Sends an image to the slot that does not run. Goes on where an upload of the same image was interrupted.
 * @returns the offset at which it began
 * @throws Failure `firmware/damaged`, `firmware/wrong-board` or `firmware/refused`, or as Session.request
 */
export async function uploadImage(
  session: Session,
  image: Uint8Array,
  progress: (sent: number) => void = () => {},
): Promise<number> {
  const begin = { len: image.length, sha: sha256(image) };
  const most = session.device.mtu - AROUND_CHUNK;
  let [off, from, tries] = [0, 0, 0];
  while (off < image.length) {
    const data = image.subarray(off, off + (off === 0 ? FIRST_CHUNK : most));
    const values = { off, data, ...(off === 0 ? begin : {}) };
    const next = (await ask(session, smpOps.write, "upload", values, uploadReply)).off;
    if (next > image.length || (next <= off && ++tries > UPLOAD_TRIES)) {
      throw new Failure("firmware/refused", `the device stays at byte ${next} of ${image.length}`, { offset: next });
    }
    if (off === 0 && next !== data.length) from = next;
    off = next;
    progress(off);
  }
  return from;
}

/**
 * Restarts the device over SMP and waits until it has said hello again.
 * @throws Failure as Session.reconnect if it does not come back
 */
export async function resetDevice(session: Session): Promise<void> {
  let end = (): void => {};
  const restarted = new Promise<void>((resolve) => {
    end = session.listen(() => resolve());
  });
  try {
    await ask(session, smpOps.write, "reset", {}, nothing).catch((error: unknown) => {
      // It may start before its answer is out.
      if (!isFailure(error, "bridge/disconnected")) throw error;
    });
    await restarted;
  } finally {
    end();
  }
  if (!session.connected) await session.reconnect();
}

async function ask<T>(
  session: Session,
  op: number,
  command: SmpCommand,
  values: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
): Promise<T> {
  const { message } = await session.request("manage", { message: encodeSmp(op, command, values) });
  const reply = decodeSmp(message);
  if (reply?.op !== op + 1 || reply.command !== command) throw badReply(command);
  const map = decodeMap(reply.body);
  if (map.rc !== undefined && map.rc !== 0) throw refusal(command, map.rc);
  const parsed = schema.safeParse(map);
  if (!parsed.success) throw badReply(command, parsed.error);
  return parsed.data;
}

const codes: Partial<Record<SmpError, FailureCode>> = {
  corrupt: "firmware/damaged",
  "another-board": "firmware/wrong-board",
  unsupported: "firmware/unsupported",
};

function refusal(command: SmpCommand, rc: unknown): Failure {
  const reason = (Object.keys(smpErrors) as SmpError[]).find((name) => smpErrors[name] === rc);
  const code = (reason && codes[reason]) ?? "firmware/refused";
  return new Failure(code, `the device refused ${command} of its firmware: ${reason ?? `code ${rc}`}`, { rc });
}

function badReply(command: SmpCommand, cause?: unknown): Failure {
  return new Failure("bridge/bad-reply", `the reply to ${command} is not what SMP says`, { command }, cause);
}
