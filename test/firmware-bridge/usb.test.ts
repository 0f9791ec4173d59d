import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { isPresent, openAccelerator } from "../../firmware-bridge/open.ts";
import { parseUsb, type UsbId, usbPort, usbPorts } from "../../firmware-bridge/transport/usb.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { rejection } from "../support/until.ts";

/** Against a folder that looks like sysfs on a Raspberry Pi with two Picos, a USB bridge and its own UART. */
const test = suite("usb");
const root = await mkdtemp(join(tmpdir(), "polaredge-sysfs-"));
test.after(() => rm(root, { recursive: true }));

async function plug(tty: string, below: string, numbers: Readonly<Record<string, string>>): Promise<void> {
  const device = join(root, "devices/usb1", below);
  const port = join(device, `${below}:1.0`, tty.startsWith("ttyUSB") ? tty : "");
  await mkdir(port, { recursive: true });
  for (const [name, text] of Object.entries(numbers)) await writeFile(join(device, name), `${text}\n`);
  await mkdir(join(root, "class/tty", tty), { recursive: true });
  await symlink(port, join(root, "class/tty", tty, "device"));
}

test.before(async () => {
  await plug("ttyACM0", "1-1.1", { idVendor: "2e8a", idProduct: "000a", serial: "E66058388342" });
  await plug("ttyACM1", "1-1.2", { idVendor: "2e8a", idProduct: "000a", serial: "E66058399999" });
  await plug("ttyUSB0", "1-1.3", { idVendor: "0403", idProduct: "6001" });
  await mkdir(join(root, "class/tty/ttyAMA0"), { recursive: true });
});

const idOf = (address: string): UsbId => parseUsb(address) ?? { vendor: "", product: "", serial: undefined };
const table: [address: string, ports: string[]][] = [
  ["usb:2E8A:000a", ["/dev/ttyACM0", "/dev/ttyACM1"]],
  ["usb:2e8a:000a:E66058399999", ["/dev/ttyACM1"]],
  ["usb:2e8a:000a:nobody", []],
  ["usb:0403:6001", ["/dev/ttyUSB0"]],
  ["usb:0403:6001:any", []],
  ["usb:0403:6010", []],
];
for (const [address, ports] of table) {
  test(`${address} is ${ports.join(" and ") || "not there"}`, async () => {
    assert.equal(await usbPorts(idOf(address), root), ports);
    if (ports.length === 1) assert.is(await usbPort(idOf(address), root), ports[0]);
    else assert.ok(isFailure(await rejection(usbPort(idOf(address), root)), "bridge/open"));
  });
}

test("two that are alike need a serial number; a wrong address says what is right", async () => {
  assert.match(String(await rejection(usbPort(idOf("usb:2e8a:000a"), root))), /ttyACM0 and .*ttyACM1; add its serial/);
  for (const address of ["usb:2e8a", "usb:2e8a:0a", "usb:xyzw:0000"]) {
    assert.ok(isFailure(await rejection((async () => parseUsb(address))()), "input/malformed"), address);
  }
  assert.is(parseUsb("/dev/ttyACM0"), undefined);
  assert.equal(await usbPorts(idOf("usb:2e8a:000a"), join(root, "none")), []);
});

test("an accelerator at a USB address that is not there", async () => {
  assert.not(await isPresent("usb:ffff:ffff:none"));
  const profile = await loadAcceleratorProfile("ideal");
  const error = await rejection(openAccelerator("usb:ffff:ffff:none", profile));
  assert.ok(isFailure(error, "bridge/open"));
  assert.match(String(error), /ffff:ffff none is not there/);
});

test.run();
