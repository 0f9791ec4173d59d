import { isFailure, messageOf } from "../base/failure.ts";
import { MAX_JOB_BYTES, type Reading, readJob } from "../fleet/jobs.ts";
import { sha256 } from "../store/digest.ts";
import type { AgentParts } from "./ports.ts";
import type { State } from "./state.ts";

/** To fetch new metadata, when an assignment is signed with a key that is not known yet. */
const OPEN_MS = 30_000;

/**
 * What to make of a payload of `job/desired`: where trust is configured, it must come in an envelope that the fleet
 * signed. Never throws.
 */
export async function readOrder(parts: AgentParts, payload: Uint8Array, state: State): Promise<Reading> {
  if (payload.length === 0) return { kind: "withdrawn" };
  const hash = sha256(payload);
  const refused = (code: Extract<Reading, { kind: "refused" }>["code"], message: string): Reading => ({
    kind: "refused",
    hash,
    code,
    message,
  });
  if (hash === state.seen?.hash) return { kind: "repeated" };
  if (payload.length > MAX_JOB_BYTES) {
    return refused("job/invalid", `job: at most ${MAX_JOB_BYTES} bytes are read, found ${payload.length}`);
  }
  const { trust, info, clock } = parts;
  const reader = { device: info.device, seen: state.seen, nowMs: trust?.now(state.trusted) ?? clock.now() };
  try {
    const signed = await trust?.open(payload, state.trusted, AbortSignal.timeout(OPEN_MS));
    return readJob(signed ?? payload, hash, { ...reader, form: signed ? "signed" : "unsigned" });
  } catch (error) {
    return refused(isFailure(error) ? error.code : "trust/unsigned", messageOf(error));
  }
}
