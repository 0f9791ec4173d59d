import { Failure, isFailure } from "../base/failure.ts";
import type { Progress } from "../fleet/topics.ts";
import { askProbes, type ProbeReading, type Probes } from "../health/probes.ts";
import { decodeSamples } from "../polarize/statistics.ts";
import type { BlobRef } from "../store/blobs.ts";
import { canonical, sha256 } from "../store/digest.ts";
import type { Recipe } from "../store/store.ts";
import { decodeNpy } from "../tensor/npy.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { assertFits } from "../trust/manifest.ts";
import type { Seen, TargetRef } from "../trust/trust.ts";
import { faultOf } from "./gates.ts";
import type { AgentParts, Installed, Prepared } from "./ports.ts";
import type { Reservoir } from "./reservoir.ts";
import type { Loaded, Serving } from "./serving.ts";
import type { Deployed, Found, Goal, Intent, Release, State, Terms, Unit } from "./state.ts";

/** The clock of the wall is set now and then, so nobody sleeps for longer on its word. */
const WAIT_MS = 30_000;

/** What an effect works with. Each one can be done again after a power cut, at no harm. */
export interface Work extends Site {
  readonly goal: Goal;
}

export interface Site {
  readonly parts: AgentParts;
  readonly signal: AbortSignal;
  readonly report: (progress: Progress) => void;
}

/** What is to be installed: from the job itself, or from a signed release that is for this device and not too old. */
export async function admit({ parts, signal }: Site, intent: Intent, state: State): Promise<Admission> {
  const admission = intent.target ? await lookUp({ parts, signal }, intent.target, intent.unit, state) : intent;
  if (!admission.found) throw new Failure("job/impossible", "the job names no release");
  await checkSpace(parts, admission.found.release);
  return { found: admission.found, ...("trusted" in admission && { trusted: admission.trusted }) };
}

export interface Admission {
  readonly found: Found;
  readonly trusted?: Seen;
}

async function lookUp(
  { parts: { trust, info, blobUrl }, signal }: Pick<Site, "parts" | "signal">,
  target: TargetRef,
  unit: Unit,
  { trusted: known, floor = 0 }: State,
): Promise<Admission> {
  if (!trust) throw new Failure("trust/unsigned", "no trust is configured on this device");
  const { manifest, proof, seen } = await trust.release(target, known, signal);
  assertFits(manifest, info);
  if (manifest.rollbackIndex < floor) {
    const message = `${target.target}: its rollback index is ${manifest.rollbackIndex}, the floor of this device ${floor}`;
    throw new Failure("trust/below-floor", message, { floor });
  }
  const { name, version, model, calibration, probes, accept, trial } = manifest;
  const release: Release = { name, version, model, calibration, probes, accept, trial, unit, proof };
  const urls = Object.fromEntries(filesOf(release).map(({ sha256 }) => [sha256, blobUrl(sha256)]));
  return { found: { release, urls }, trusted: seen };
}

/** For the whole job: what is still to fetch, and the prepared model, which is never bigger than the float one. */
async function checkSpace({ store }: AgentParts, release: Release): Promise<void> {
  let bytes = 2 * release.model.bytes;
  for (const ref of filesOf(release)) {
    if (!(await store.blobs.has(ref.sha256))) bytes += ref.bytes;
  }
  await store.checkSpace(bytes);
}

export async function downloadAll({ parts, goal, signal, report }: Work): Promise<void> {
  const files = filesOf(goal.release);
  const { maxKBps } = goal.terms ?? {};
  const of = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const ref of files) {
    if (!(await parts.store.blobs.has(ref.sha256))) {
      const part = await parts.store.blobs.part(ref);
      const onProgress = (bytes: number): void => report({ stage: "download", done: done + bytes, of });
      await parts.fetch(goal.urls?.[ref.sha256] ?? "", part, { signal, onProgress, maxKBps });
    }
    done += ref.bytes;
  }
}

/** Reads back from the disk what will be worked with. What is not right is removed, so that the next job fetches it. */
export async function verify({ parts: { store }, goal: { release } }: Work): Promise<void> {
  for (const { sha256 } of filesOf(release)) {
    await store.blobs.read(sha256).catch(async (error: unknown) => {
      await store.blobs.remove(sha256);
      throw error;
    });
  }
}

/**
 * Returns the name of the prepared model, and how it came out unless it was here already. An accelerator that does not
 * answer is no reason to have no model.
 * @param active what a recalibration begins with, if the tiles hold it
 */
export async function prepare(work: Work, reservoir: Reservoir, active: Deployed | undefined): Promise<Preparedness> {
  const { leases, log } = work.parts;
  const unit = leases.present ? work.goal.release.unit : "digital";
  const refitted = unit === "accelerator" && work.goal.action === "recalibrate" ? active : undefined;
  try {
    return await prepareFor(unit, work, reservoir, refitted);
  } catch (error) {
    if (unit === "digital" || !isFailure(error) || !error.code.startsWith("bridge/")) throw error;
    log.warn("prepared without the accelerator", { error });
    return prepareFor("digital", work, reservoir);
  }
}

interface Preparedness {
  readonly derived: string;
  readonly fit?: Fit;
}

/** How a prepared model came out. */
export type Fit = Omit<Prepared, "model" | "answers">;

async function prepareFor(
  unit: Unit,
  { parts, goal, signal, report }: Work,
  reservoir: Reservoir,
  refitted?: Deployed,
): Promise<Preparedness> {
  const { store, leases, preparer, profile } = parts;
  const { release } = goal;
  const recipe = recipeOf(parts, goal, unit);
  const found = unit === "digital" ? await store.findDerived(recipe) : undefined;
  if (found !== undefined) return { derived: found };
  const shipped = decodeSamples(await store.blobs.read(release.calibration.sha256), "calibration");
  const { samples: limit } = profile.calibration;
  const samples = goal.action === "recalibrate" ? reservoir.mix(shipped, limit) : shipped;
  const probes = await tensor(parts, release.probes, "probes");
  const model = await store.blobs.read(release.model.sha256);
  const installed = refitted && (await installedOf(parts, refitted));
  const job = { model, name: release.name, samples, probes, unit, installed };
  const { answers, ...prepared } = await preparer.prepare(job, report, signal);
  signal.throwIfAborted();
  const derived = await store.writeDerived(recipe, prepared.model, bytesOf(answers));
  if (unit === "accelerator") leases.grant(derived);
  return { derived, fit: prepared };
}

/** What the tiles hold; undefined if that is something else. A remedy is one only if it also ends the drift. */
async function installedOf(
  { store, leases, profile }: AgentParts,
  { derived, accept }: Deployed,
): Promise<Installed | undefined> {
  if (!leases.holds(derived)) return undefined;
  const enoughPct = Math.max(accept.minAgreementPct, profile.drift.healthyAbovePct);
  return { model: (await store.readDerived(derived)).model, enoughPct };
}

/** Opens a prepared model with its probes. @throws Failure store/corrupt, model/..., plan/..., input/shape */
export async function load(parts: AgentParts, deployed: Deployed): Promise<Loaded> {
  const { store, leases, openEngine } = parts;
  await parts.trust?.assertTrusted(deployed.model, deployed.proof);
  const { model } = await store.readDerived(deployed.derived);
  const unit = deployed.unit === "accelerator" ? leases.of(deployed.derived) : undefined;
  const [engine, probes] = [await openEngine(model, unit), await probesOf(parts, deployed)];
  const fits = probes.inputs.length === probes.count * engine.inputLength;
  if (!fits || probes.answers.length !== probes.count * engine.outputLength) {
    const found = `found ${probes.inputs.length} and ${probes.answers.length} numbers`;
    const expected = `${probes.count} x ${engine.inputLength} and x ${engine.outputLength}`;
    throw new Failure("input/shape", `probes: expected ${expected}, ${found}`);
  }
  return { deployed, engine, probes };
}

async function probesOf(parts: AgentParts, { derived, probes }: Deployed): Promise<Probes> {
  const { shape, data: inputs } = await tensor(parts, probes, "probes");
  const { answers } = await parts.store.readDerived(derived);
  return { count: shape[0] ?? 0, inputs, answers: floatsOf(answers) };
}

/**
 * Agreement of the model on trial with the float answers of the model it replaces, on that one's probes, in per cent:
 * what a mistake in training looks like from here. Undefined where the two are not comparable.
 */
export async function continuityPct(
  parts: AgentParts,
  serving: Serving,
  before: Deployed | undefined,
): Promise<number | undefined> {
  const { loaded } = serving;
  if (!loaded || !before) return undefined;
  const probes = await probesOf(parts, before);
  const { inputLength, outputLength } = loaded.engine;
  const { count, inputs, answers } = probes;
  if (inputs.length !== count * inputLength || answers.length !== count * outputLength) return undefined;
  return (await askProbes(probes, (input) => serving.ask(input), parts.clock.uptimeMs)).agreementPct;
}

/** @throws Failure job/self-test unless the prepared model is good enough to be tried. */
export async function selfTest({ parts, goal }: Work, derived: string, baselinePct: number | undefined): Promise<void> {
  const { engine, probes } = await load(parts, { ...goal.release, derived });
  const reading = await askProbes(probes, (input) => engine.run(input), parts.clock.uptimeMs);
  const fault = faultOf(reading, goal, baselinePct);
  if (fault !== undefined) throw new Failure("job/self-test", `self-test: ${fault}`, { ...reading });
}

/** Until the job's window is open and, where it asks for that, somebody has agreed. @throws Failure job/expired */
export async function wait({ parts: { clock }, goal: { id, terms }, signal }: Work, approved: boolean): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const now = clock.now();
    if (now > (terms?.notAfter ?? Number.POSITIVE_INFINITY)) {
      throw new Failure("job/expired", `${id}: it was to be begun by ${new Date(terms?.notAfter ?? 0).toISOString()}`);
    }
    if ((approved || !terms?.consent) && isOpen(terms?.window, now)) return;
    await clock.sleep(WAIT_MS, signal);
  }
}

function isOpen(window: Terms["window"], nowMs: number): boolean {
  if (!window) return true;
  const { from, to } = window;
  const now = new Date(nowMs).toISOString().slice("2000-01-01T".length, "2000-01-01T00:00".length);
  return from <= to ? from <= now && now < to : from <= now || now < to;
}

/** Agreement of what serves now, as it is now; undefined if nothing does. */
export async function measure(serving: Serving, nowMs: () => number): Promise<ProbeReading | undefined> {
  const { loaded } = serving;
  return loaded && askProbes(loaded.probes, (input) => serving.ask(input), nowMs);
}

/** What a model was made of. An accelerator is never the same twice, so its models are named after their goal. */
function recipeOf({ info, profile }: AgentParts, { id, action, release }: Goal, unit: string): Recipe {
  return {
    model: release.model.sha256,
    calibration: release.calibration.sha256,
    probes: release.probes.sha256,
    profile: sha256(canonical(profile)),
    runtime: info.runtime,
    unit,
    ...((unit === "accelerator" || action === "recalibrate") && { goal: id }),
  };
}

function filesOf({ model, calibration, probes }: Release): BlobRef[] {
  return [model, calibration, probes];
}

async function tensor({ store }: AgentParts, ref: BlobRef, what: string): Promise<Tensor> {
  return decodeNpy(await store.blobs.read(ref.sha256), what);
}

/** Little-endian, as every machine that this runs on. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
