import { Failure } from "../../runtime/base/failure.ts";
import { selfTest } from "../self-test.ts";
import type { Session } from "../session.ts";
import {
  checkManaged,
  confirmImage,
  type ImageState,
  readImages,
  resetDevice,
  testImage,
  uploadImage,
} from "./client.ts";
import { parseImage, versionText } from "./image.ts";

export interface FirmwareUpdate {
  /** Versions before and now. */
  readonly from: string;
  readonly to: string;
  readonly hash: string;
  readonly bytes: number;
  /** Where the upload began; `bytes` if the device had the image. */
  readonly resumedAt: number;
  /** Groups of cells that the self-test found weak with the old and the new firmware; undefined if there is none. */
  readonly weak: { readonly before: number; readonly after: number } | undefined;
}

/**
 * Replaces a device's firmware: upload, trial, and confirmation if the new one greets and its self-test finds no more
 * than the old one's did. Whatever ends it earlier, the device is back at the old one after its next reset. All tiles
 * are empty afterwards.
 * @throws Failure `firmware/...`, or as Session.request and Session.reconnect
 */
export async function updateFirmware(
  session: Session,
  image: Uint8Array,
  progress: (sent: number) => void = () => {},
): Promise<FirmwareUpdate> {
  const { version, hash } = parseImage(image);
  checkManaged(session);
  let images = await readImages(session);
  if (images.some(({ active, confirmed }) => active && !confirmed)) {
    // A trial that nobody ended: the device goes back first.
    await resetDevice(session);
    images = await readImages(session);
  }
  const update = { from: versionText(session.device.firmware), to: version, hash, bytes: image.length };
  if (runs(images, hash)) return { ...update, resumedAt: image.length, weak: undefined };
  const before = await selfTest(session);
  const waiting = images.find((image) => image.hash === hash);
  const resumedAt = waiting ? image.length : await uploadImage(session, image, progress);
  if (waiting?.pending !== true) await testImage(session, hash);
  await resetDevice(session);
  if (!runs(await readImages(session), hash)) throw reverted(version, "it did not start, or restarted on its trial");
  const after = await selfTest(session);
  if (before && (!after || after.weak > before.weak)) {
    await resetDevice(session);
    const found = after
      ? `its self-test finds ${after.weak} weak groups of cells, there were ${before.weak}`
      : "no self-test";
    throw reverted(version, found);
  }
  await confirmImage(session, hash);
  return { ...update, resumedAt, weak: before && after && { before: before.weak, after: after.weak } };
}

function runs(images: readonly ImageState[], hash: string): boolean {
  return images.some((image) => image.active && image.hash === hash);
}

function reverted(version: string, why: string): Failure {
  return new Failure("firmware/reverted", `firmware ${version} was taken back: ${why}`, { version });
}
