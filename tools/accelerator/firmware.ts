import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { QemuBoard } from "../../firmware-bridge/emulator/qemu.ts";
import { makeImage } from "../../firmware-bridge/management/image.ts";
import { asset } from "../../runtime/base/assets.ts";
import { Failure } from "../../runtime/base/failure.ts";

/** What QEMU runs for a profile: its memory decides about the board, and where many bytes are moved the line. */
const boards: Readonly<Record<string, QemuBoard>> = {
  "sram-bitplane-128x64": { board: "lm3s6965evb", line: "uart" },
  "sram-bitplane-64x64": { board: "mps2-an386", line: "semihosting" },
};

/** @throws Failure `profile/unknown` */
export function boardOf({ name }: AcceleratorProfile): QemuBoard {
  const board = boards[name];
  if (board) return board;
  throw new Failure("profile/unknown", `the firmware models ${Object.keys(boards).join(" and ")}, not ${name}`);
}

/** What the Makefile and the firmware itself call it. */
const nameOf = ({ board, line }: QemuBoard): string => (line === "uart" ? board : `${board}-${line}`);

/** Makes what a board for QEMU starts with. */
export function buildFor(board: QemuBoard): string {
  return buildFirmware(`${nameOf(board)}.elf`);
}

/** An image for a slot of a board that has some. `program`: its own firmware, placed for that. */
export function updateFor(
  board: QemuBoard,
  version: string,
  program: Uint8Array = readFileSync(buildFirmware(`${nameOf(board)}.bin`, ["UPDATE=1"])),
): Uint8Array {
  return makeImage({ version, board: nameOf(board), program });
}

const packages = {
  make: "make",
  cc: "gcc libc6-dev",
  clang: "clang libclang-rt-14-dev",
  "arm-none-eabi-gcc": "gcc-arm-none-eabi",
  "qemu-system-arm": "qemu-system-arm",
} as const;
export type Program = keyof typeof packages;

/** What to install where one of these programs is missing; undefined if all are there. */
export function missingPrograms(...programs: readonly Program[]): string | undefined {
  const there = (name: string): boolean =>
    (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
  const missing = programs.filter((name) => !there(name)).map((name) => packages[name]);
  return missing.length > 0 ? `apt-get install ${missing.join(" ")}` : undefined;
}

function compilerOf(target: string): Program {
  if (/\.(elf|bin)$/.test(target)) return "arm-none-eabi-gcc";
  return target === "fuzz" ? "clang" : "cc";
}

/**
 * Makes a target of firmware-bridge/firmware/Makefile, unless it is up to date, and returns its path. Each
 * checkout has a folder of its own for what is made.
 * @throws Failure `input/missing` where there is no compiler
 */
export function buildFirmware(target: string, options: readonly string[] = []): string {
  const missing = missingPrograms("make", compilerOf(target));
  if (missing) throw new Failure("input/missing", `no compiler for the firmware: ${missing}`);
  const flavour = options.length > 0 ? options.join("-").replaceAll("=", "-") : "plain";
  const source = fileURLToPath(asset("firmware-bridge/firmware/"));
  const checkout = createHash("sha256").update(source).digest("hex").slice(0, 8);
  const folder = join(tmpdir(), `polaredge-firmware-${process.getuid?.() ?? 0}-${checkout}`, flavour);
  const path = join(folder, target);
  execFileSync("make", ["-s", "-C", source, `BUILD=${folder}`, ...options, path], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path;
}
