import { createHash } from "node:crypto";
import { Reader, Writer } from "../../runtime/base/bytes.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";

/** MCUboot, boot/bootutil/include/bootutil/image.h */
const MAGIC = 0x96f3b83d;
const HEADER_BYTES = 32;
const PROTECTED_MAGIC = 0x6908;
const TLV_MAGIC = 0x6907;
const TLV_HEAD_BYTES = 4;
const TLV_SHA256 = 0x10;
/** The first of those that are a vendor's own: `imgtool sign --custom-tlv 0x00a0 BOARD` writes it. */
const TLV_BOARD = 0xa0;

/** A firmware image as MCUboot has it (docs/design.md): a header, the program, protected and other TLVs. */
export interface FirmwareImage {
  /** major.minor.revision */
  readonly version: string;
  /** What it is made for; "" if it does not say. */
  readonly board: string;
  /** SHA-256 of header, program and protected TLVs: by this it is known. */
  readonly hash: string;
}

export interface ImageParts {
  readonly version: string;
  readonly board: string;
  readonly program: Uint8Array;
}

export function makeImage({ version, board, program }: ImageParts): Uint8Array {
  const [major = 0, minor = 0, revision = 0] = version.split(".").map(Number);
  const guarded = tlvs(PROTECTED_MAGIC, TLV_BOARD, new TextEncoder().encode(board));
  const to = new Writer();
  to.u32(MAGIC);
  to.u32(0);
  to.u16(HEADER_BYTES);
  to.u16(guarded.length);
  to.u32(program.length);
  to.u32(0);
  to.u8(major);
  to.u8(minor);
  to.u16(revision);
  to.u32(0);
  to.u32(0);
  to.bytes(program);
  to.bytes(guarded);
  const sealed = to.finish();
  return Buffer.concat([sealed, tlvs(TLV_MAGIC, TLV_SHA256, sha256(sealed))]);
}

function tlvs(magic: number, type: number, value: Uint8Array): Uint8Array {
  const to = new Writer();
  to.u16(magic);
  to.u16(2 * TLV_HEAD_BYTES + value.length);
  to.u16(type);
  to.u16(value.length);
  to.bytes(value);
  return to.finish();
}

/** The image at the beginning of `bytes`. @throws Failure `firmware/damaged` */
export function parseImage(bytes: Uint8Array): FirmwareImage {
  try {
    return parse(bytes);
  } catch (cause) {
    if (!isFailure(cause)) throw cause;
    throw new Failure("firmware/damaged", `no firmware image, or a damaged one: ${cause.message}`, {}, cause);
  }
}

function parse(bytes: Uint8Array): FirmwareImage {
  const from = new Reader(bytes);
  if (from.u32() !== MAGIC) throw new Failure("input/malformed", "it does not begin as MCUboot's images do");
  from.u32();
  const [header, guarded, program] = [from.u16(), from.u16(), from.u32()];
  if (header < HEADER_BYTES) throw new Failure("input/malformed", `its header has ${header} bytes`);
  from.u32();
  const version = [from.u8(), from.u8(), from.u16()].join(".");
  from.bytes(header - (HEADER_BYTES - 8));
  from.bytes(program);
  const end = header + program;
  const board =
    guarded === 0 ? undefined : find(bytes.subarray(end, end + guarded), PROTECTED_MAGIC, TLV_BOARD, guarded);
  const sealed = bytes.subarray(0, end + guarded);
  const hash = sha256(sealed);
  const digest = find(bytes.subarray(end + guarded), TLV_MAGIC, TLV_SHA256);
  if (digest === undefined || !Buffer.from(digest).equals(hash)) {
    throw new Failure("input/malformed", "its digest is not that of its contents");
  }
  return { version, board: new TextDecoder().decode(board), hash: hash.toString("hex") };
}

/** The last TLV of a type in an area, which has `expected` bytes if that is known. @throws Failure */
function find(area: Uint8Array, magic: number, type: number, expected?: number): Uint8Array | undefined {
  const from = new Reader(area);
  const [found, total] = [from.u16(), from.u16()];
  if (found !== magic || total !== (expected ?? total)) throw new Failure("input/malformed", "its TLVs are damaged");
  let value: Uint8Array | undefined;
  const inner = new Reader(from.bytes(total - TLV_HEAD_BYTES));
  for (let left = total - TLV_HEAD_BYTES; left >= TLV_HEAD_BYTES; ) {
    const [of, length] = [inner.u16(), inner.u16()];
    const bytes = inner.bytes(length);
    if (of === type) value = bytes;
    left -= TLV_HEAD_BYTES + length;
  }
  return value;
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

/** What `versionNumber` was given. */
export function versionText(number: number): string {
  return [number >>> 24, (number >>> 16) & 0xff, number & 0xffff].join(".");
}

/** A version as HELLO says it: major, minor, a byte each, and revision. */
export function versionNumber(version: string): number {
  const [major = 0, minor = 0, revision = 0] = version.split(".").map(Number);
  return ((major << 24) | (minor << 16) | revision) >>> 0;
}
