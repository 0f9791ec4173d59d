import * as zlib from "node:zlib";

/** CRC-32/ISO-HDLC, as in zip and Ethernet: reflected polynomial 0xedb88320; check value 0xcbf43926 for "123456789". */
export const crc32: (data: Uint8Array) => number = zlib.crc32 ?? tableCrc32;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** For Node before 20.15, whose zlib has no crc32, and as the readable reference. */
export function tableCrc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
