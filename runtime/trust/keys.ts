import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { Failure } from "../base/failure.ts";
import { canonical, sha256 } from "../store/digest.ts";

/** A public key as TUF metadata holds it (TUF 1.0.34, section 4.2). */
export interface PublicKey {
  readonly keytype: "ed25519";
  readonly scheme: "ed25519";
  /** 32 bytes, hex. */
  readonly keyval: { readonly public: string };
}

/** Before the 32 bytes of an Ed25519 key in DER (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/**
 * Points whose order divides 8, in every encoding that a decoder takes, without the sign bit: under such a key anybody
 * can sign, and node:crypto accepts it. (C. Cremers and D. Jackson, "Prime, Order Please!", CSF 2019, table 4.)
 */
const lowOrder = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** @throws Failure trust/weak-key for a key under which anybody can sign, and for what is no key. */
export function assertSound(hex: string): void {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new Failure("trust/weak-key", `expected 32 bytes in hex, found ${hex}`);
  const bytes = Buffer.from(hex, "hex");
  bytes[31] &= 0x7f;
  if (lowOrder.has(bytes.toString("hex"))) throw new Failure("trust/weak-key", `${hex}: a point of low order`);
}

export function publicKeyOf(key: KeyObject): PublicKey {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return {
    keytype: "ed25519",
    scheme: "ed25519",
    keyval: { public: der.subarray(SPKI_PREFIX.length).toString("hex") },
  };
}

export function keyIdOf(key: PublicKey): string {
  return sha256(canonical(key));
}

export function signatureOf(key: KeyObject, data: Uint8Array): string {
  return sign(null, data, key).toString("hex");
}

/** @param hex of the public key, and of the signature */
export function isSignedBy(hex: string, data: Uint8Array, signature: string): boolean {
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, Buffer.from(hex, "hex")]),
    format: "der",
    type: "spki",
  });
  return verify(null, data, key, Buffer.from(signature, "hex"));
}
