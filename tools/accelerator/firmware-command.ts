import { readFile } from "node:fs/promises";
import { checkManaged, type ImageState, readImages } from "../../firmware-bridge/management/client.ts";
import { parseImage } from "../../firmware-bridge/management/image.ts";
import { updateFirmware } from "../../firmware-bridge/management/update.ts";
import { connector, openAccelerator } from "../../firmware-bridge/open.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { progressBar } from "../cli/progress.ts";
import { table, thousands } from "../cli/table.ts";

export interface FirmwareOptions {
  /** Of a serial port. */
  readonly baud: number;
  readonly json?: boolean;
}

/** `polaredge firmware state`: the images that a device has. @throws Failure `bridge/...`, `firmware/...` */
export async function firmwareState(address: string, { baud, json }: FirmwareOptions): Promise<void> {
  const session = await openSession(address, baud);
  try {
    checkManaged(session);
    const images = await readImages(session);
    console.log(json === true ? JSON.stringify({ images }, undefined, 2) : stateText(images));
  } finally {
    await session.close();
  }
}

/** `polaredge firmware update`. @throws Failure `input/missing`, `bridge/...`, `firmware/...` */
export async function firmwareUpdate(address: string, file: string, { baud, json }: FirmwareOptions): Promise<void> {
  const image = await readFile(file).catch((cause: unknown) => {
    throw new Failure("input/missing", `${file}: ${messageOf(cause)}`, {}, cause);
  });
  parseImage(image);
  const session = await openSession(address, baud);
  const bar = progressBar();
  try {
    const began = performance.now();
    const update = await updateFirmware(session, image, (sent) => bar.show("upload", sent, image.length));
    const seconds = Number(((performance.now() - began) / 1000).toFixed(3));
    bar.end();
    if (json === true) console.log(JSON.stringify({ ...update, seconds }, undefined, 2));
    else {
      const sent = thousands(image.length - update.resumedAt);
      console.log(`${update.from} -> ${update.to}, confirmed; ${sent} bytes sent, ${seconds.toFixed(1)} s`);
    }
  } finally {
    bar.end();
    await session.close();
  }
}

async function openSession(address: string, baudRate: number): Promise<Session> {
  if (address.startsWith("emulator:")) return (await openAccelerator(address)).session;
  return Session.open(await connector(address, baudRate));
}

function stateText(images: readonly ImageState[]): string {
  const rows = images.map(({ slot, version, hash, active, pending, confirmed }) => {
    const trial = active && !confirmed ? "on trial" : "";
    const state = [active ? "runs" : "", confirmed ? "confirmed" : "", trial, pending ? "tried at the next start" : ""];
    return [String(slot), version, hash.slice(0, 16), state.filter((word) => word !== "").join(", ")];
  });
  return table([{ title: "slot", align: "right" }, { title: "version" }, { title: "image" }, { title: "state" }], rows);
}
