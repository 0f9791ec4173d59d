import { readdir, readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";

/** Which USB device, by the numbers that it says of itself. */
export interface UsbId {
  /** Four hexadecimal digits, as lsusb prints them. */
  readonly vendor: string;
  readonly product: string;
  readonly serial: string | undefined;
}

/** `usb:VID:PID[:SERIAL]`; undefined for another kind of address. @throws Failure `input/malformed` */
export function parseUsb(address: string): UsbId | undefined {
  if (!address.startsWith("usb:")) return undefined;
  const [, vendor, product, serial] = /^usb:([0-9a-f]{4}):([0-9a-f]{4})(?::(.+))?$/i.exec(address) ?? [];
  if (!vendor || !product) {
    throw new Failure(
      "input/malformed",
      `usb:VID:PID or usb:VID:PID:SERIAL expected, such as usb:2e8a:000a, got "${address}"`,
    );
  }
  return { vendor: vendor.toLowerCase(), product: product.toLowerCase(), serial };
}

/**
 * The serial ports of USB devices, from the kernel's own list: SerialPort.list() asks udevadm, which small systems do
 * not have (it then ends the process), and a process for each look would be dear.
 * @param root where sysfs is
 */
export async function usbPorts(id: UsbId, root = "/sys"): Promise<string[]> {
  const folder = join(root, "class/tty");
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^tty(ACM|USB)/.test(name)).sort();
  const there = await Promise.all(names.map(async (name) => matches(await idOf(join(folder, name, "device")), id)));
  return names.filter((_, i) => there[i]).map((name) => `/dev/${name}`);
}

/** The only port of the device. @throws Failure `bridge/open` if there is none, or more than one */
export async function usbPort(id: UsbId, root?: string): Promise<string> {
  const [port, another] = await usbPorts(id, root);
  const name = `USB device ${id.vendor}:${id.product}${id.serial === undefined ? "" : ` ${id.serial}`}`;
  if (port === undefined) throw new Failure("bridge/open", `${name} is not there`);
  if (another !== undefined)
    throw new Failure("bridge/open", `${name} is at ${port} and ${another}; add its serial number`);
  return port;
}

/** A tty hangs below one interface of the device that has the numbers. */
async function idOf(tty: string): Promise<UsbId | undefined> {
  let folder = await realpath(tty).catch(() => "/");
  for (let level = 0; level < 4 && folder !== "/"; level++, folder = dirname(folder)) {
    const vendor = await line(folder, "idVendor");
    const product = await line(folder, "idProduct");
    if (vendor && product) return { vendor, product, serial: await line(folder, "serial") };
  }
  return undefined;
}

async function line(folder: string, name: string): Promise<string | undefined> {
  return readFile(join(folder, name), "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
}

function matches(found: UsbId | undefined, { vendor, product, serial }: UsbId): boolean {
  return found?.vendor === vendor && found.product === product && (serial === undefined || found.serial === serial);
}
