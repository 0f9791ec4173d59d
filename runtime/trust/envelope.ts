import type { KeyObject } from "node:crypto";
import * as z from "zod/mini";
import { Failure } from "../base/failure.ts";
import { isSignedBy, keyIdOf, publicKeyOf, signatureOf } from "./keys.ts";

/**
 * DSSE, https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md): what is signed is a byte string with its
 * type, so nothing has to be parsed, or written in a canonical form, before its signature is checked.
 */
const ASSIGNMENT = "application/vnd.polaredge.assignment+json";

export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

const envelope: z.ZodMiniType<Envelope> = z.strictObject({
  payloadType: z.literal(ASSIGNMENT),
  payload: z.string().check(z.regex(/^[A-Za-z0-9+/]*={0,2}$/)),
  signatures: z.array(z.strictObject({ keyid: z.string(), sig: z.string() })).check(z.minLength(1), z.maxLength(8)),
});

/** Who may sign: key id -> public key in hex, and how many of them must. */
export interface Signers {
  readonly keys: ReadonlyMap<string, string>;
  readonly threshold: number;
}

export function seal(payload: Uint8Array, keys: readonly KeyObject[]): Uint8Array {
  const data = preAuthentication(payload);
  const signatures = keys.map((key) => ({ keyid: keyIdOf(publicKeyOf(key)), sig: signatureOf(key, data) }));
  const sealed = { payloadType: ASSIGNMENT, payload: Buffer.from(payload).toString("base64"), signatures };
  return new TextEncoder().encode(JSON.stringify(sealed));
}

/** What is in an envelope that enough of the signers signed. @throws Failure trust/unsigned */
export function unseal(sealed: Envelope, { keys, threshold }: Signers): Uint8Array {
  const { payload, signatures } = sealed;
  const body = Uint8Array.from(Buffer.from(payload, "base64"));
  const data = preAuthentication(body);
  const good = new Set<string>();
  for (const { keyid, sig } of signatures) {
    const key = keys.get(keyid);
    if (key !== undefined && isSignedBy(key, data, sig)) good.add(key);
  }
  if (good.size >= threshold) return body;
  const message = `assignment: expected signatures of ${threshold} fleet keys, found ${good.size}`;
  throw new Failure("trust/unsigned", message, { signers: signatures.map(({ keyid }) => keyid) });
}

/** @throws Failure trust/unsigned */
export function parseEnvelope(sealed: Uint8Array): Envelope {
  try {
    return envelope.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(sealed)));
  } catch (error) {
    throw new Failure("trust/unsigned", "assignment: expected a signed envelope, found something else", {}, error);
  }
}

/** Pre-authentication encoding (DSSE, protocol.md). */
function preAuthentication(payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`DSSEv1 ${ASSIGNMENT.length} ${ASSIGNMENT} ${payload.length} `), payload]);
}
