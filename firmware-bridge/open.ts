import { access } from "node:fs/promises";
import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../device-profiles/profiles.ts";
import { Failure } from "../runtime/base/failure.ts";
import type { Accelerator, UnitLayer } from "../runtime/plan/unit.ts";
import { EmulatedDevice } from "./emulator/device.ts";
import { emulatedFlash } from "./emulator/flash.ts";
import { serve } from "./emulator/serve.ts";
import type { SessionTiming } from "./greeting.ts";
import { Session } from "./session.ts";
import { AcceleratorUnit } from "./tiles/accelerator.ts";
import { metered, type Traffic } from "./transport/metered.ts";
import { pair } from "./transport/pair.ts";
import { openTcp } from "./transport/tcp.ts";
import type { Connect } from "./transport/transport.ts";
import { parseUsb, usbPort, usbPorts } from "./transport/usb.ts";

/** A device with an open session. Calling `place` again replaces what was placed before. */
export interface OpenAccelerator extends Accelerator {
  readonly session: Session;
  readonly profile: AcceleratorProfile;
  /** The model behind an `emulator:` address. */
  readonly emulated: EmulatedDevice | undefined;
  /** Since it was opened. */
  readonly traffic: Readonly<Traffic>;
  place(layers: readonly UnitLayer[]): Promise<AcceleratorUnit>;
  /**
   * Opens the link again if it is lost, and programs again what was placed last.
   * @throws Failure `bridge/wrong-device` if another chip answers than before, or another `bridge/...`.
   */
  recover(): Promise<void>;
  close(): Promise<void>;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31_557_600 };

/** "90", "90s", "12h", "30d", "1y" in seconds. @throws Failure `input/malformed` */
export function parseAge(text: string): number {
  const [, number = "", unit = "s"] = /^(\d+(?:\.\d+)?)([smhdwy])?$/.exec(text) ?? [];
  const seconds = Math.round(Number(number) * SECONDS[unit]);
  if (number === "" || seconds > 0xffffffff) {
    throw new Failure("input/malformed", `an age such as 90s, 12h, 30d or 1y expected, got "${text}"`);
  }
  return seconds;
}

/**
 * Opens the session with the device at `address`:
 *   emulator:PROFILE[?seed=N&age=30d&temperature=45&sigma=0.2]  a modelled device in this process; `profile` is
 *                                                       not needed; sigma: how much cells differ, instead of its
 *   tcp://HOST:PORT                                   a serial line that is served over TCP, such as by ser2net
 *   usb:VID:PID[:SERIAL]                              the serial port of a USB device, wherever it is plugged in (Linux)
 *   serial:PATH or PATH                               a serial port, such as /dev/serial/by-id/...
 * @throws Failure `bridge/open`, `bridge/timeout`, `bridge/protocol-version`, `profile/...`, `input/malformed`.
 */
export async function openAccelerator(
  address: string,
  profile?: AcceleratorProfile,
  timing: Partial<SessionTiming> = {},
): Promise<OpenAccelerator> {
  if (address.startsWith("emulator:")) return openEmulated(address.slice("emulator:".length), timing);
  if (!profile) throw new Failure("input/missing", `which accelerator is at ${address}? Its profile is needed`);
  return openOver(await connector(address, profile.link.baudRate), profile, undefined, timing);
}

/** How to connect to a device that is not in this process. @throws Failure `input/malformed` */
export async function connector(address: string, baudRate: number): Promise<Connect> {
  const tcp = tcpOf(address);
  if (tcp) return () => openTcp(tcp.host, tcp.port);
  const usb = parseUsb(address);
  // Only here, so that nothing else needs serialport's native part.
  const { openSerial } = await import("./transport/serial.ts");
  return async () => openSerial(usb ? await usbPort(usb) : pathOf(address), baudRate);
}

/** Whether there is a device at `address`, as far as can be told without opening it. */
export async function isPresent(address: string): Promise<boolean> {
  if (address.startsWith("emulator:") || tcpOf(address)) return true;
  const usb = parseUsb(address);
  if (usb) return (await usbPorts(usb)).length > 0;
  return access(pathOf(address)).then(
    () => true,
    () => false,
  );
}

/** @throws Failure `input/malformed` */
function tcpOf(address: string): { readonly host: string; readonly port: number } | undefined {
  if (!address.startsWith("tcp://")) return undefined;
  const [, host = "", port = ""] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(address) ?? [];
  if (host === "") throw new Failure("input/malformed", `tcp://HOST:PORT expected, got "${address}"`);
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

function pathOf(address: string): string {
  return address.replace(/^serial:/, "");
}

async function openEmulated(address: string, timing: Partial<SessionTiming>): Promise<OpenAccelerator> {
  const [name = "", query = ""] = address.split("?");
  const options = new URLSearchParams(query);
  const profile = withSigma(await loadAcceleratorProfile(name), options.get("sigma"));
  const temperature = options.get("temperature");
  const device = new EmulatedDevice(profile, {
    seed: numberOf(options.get("seed") ?? "1"),
    ageSeconds: parseAge(options.get("age") ?? "0"),
    flash: emulatedFlash(),
    ...(temperature === null ? {} : { temperatureC: numberOf(temperature) }),
  });
  return openOver(async () => connectEmulated(device), profile, device, timing);
}

/** @throws Failure `input/malformed` for cells that have no such number */
function withSigma(profile: AcceleratorProfile, text: string | null): AcceleratorProfile {
  if (text === null) return profile;
  const sigma = numberOf(text);
  if (profile.cells.model !== "sram" || sigma < 0 || sigma > 1) {
    throw new Failure(
      "input/malformed",
      `sigma=${text}: 0 to 1 for SRAM cells; ${profile.name} has ${profile.cells.model}`,
    );
  }
  return { ...profile, cells: { ...profile.cells, sigma } };
}

/** A line to a device in this process. */
function connectEmulated(device: EmulatedDevice): ReturnType<typeof pair>[0] {
  const [host, far] = pair({ seed: 0 }, "emulator");
  void serve(device, far);
  return host;
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new Failure("input/malformed", `a number expected, got "${text}"`);
  return value;
}

/** As `openAccelerator`, over any transport. */
export async function openOver(
  connect: Connect,
  profile: AcceleratorProfile,
  emulated?: EmulatedDevice,
  timing: Partial<SessionTiming> = {},
): Promise<OpenAccelerator> {
  const traffic: Traffic = { bytes: 0 };
  const session = await Session.open(async () => metered(await connect(), traffic), timing);
  let unit: AcceleratorUnit | undefined;
  return {
    session,
    profile,
    emulated,
    traffic,
    async place(layers) {
      unit?.release();
      unit = await AcceleratorUnit.place(session, profile, layers);
      return unit;
    },
    async recover() {
      if (!session.connected) await session.reconnect();
      await unit?.recover();
    },
    close: () => session.close(),
  };
}
