import { randomUUID } from "node:crypto";
import { type FailureCode, isFailure, messageOf } from "../base/failure.ts";
import type { Command, FleetListener, History, Progress, Reply } from "../fleet/topics.ts";
import type { Health } from "../health/health.ts";
import type { Meter } from "../health/meter.ts";
import type { ProbeReading } from "../health/probes.ts";
import type { Servable, ServedModel } from "../serve/servable.ts";
import { calibrationOf, pastIn } from "./diary.ts";
import { load } from "./effects.ts";
import type { Effect, Event, Work, Working } from "./events.ts";
import { Freshness } from "./freshness.ts";
import { step } from "./lifecycle.ts";
import { readOrder } from "./orders.ts";
import type { AgentParts } from "./ports.ts";
import { Reservoir } from "./reservoir.ts";
import { Serving } from "./serving.ts";
import { inUse, newDevice, type State, servedBy } from "./state.ts";
import { Vitals } from "./vitals.ts";
import { Voice } from "./voice.ts";
import { Watch } from "./watch.ts";
import { type Bench, type Done, perform, secondsFor } from "./work.ts";
import { type Result, Worksite } from "./worksite.ts";

/**
 * The loop around `step`: events come one by one; the new state is saved, then its effects are done, and what comes of
 * them are events again. Whatever an effect does to itself, the loop goes on.
 */
export class Agent implements FleetListener, Servable {
  readonly serving: Serving;
  readonly #parts: AgentParts;
  readonly #boot = randomUUID();
  readonly #beganMs: number;
  readonly #voice: Voice;
  readonly #worksite: Worksite;
  readonly #reservoir: Reservoir;
  readonly #watch: Watch;
  readonly #vitals: Vitals;
  readonly #freshness: Freshness;
  readonly #closing = new AbortController();
  #state: State;
  #saved = true;
  #health: Health | undefined;
  #telling: Promise<void> = Promise.resolve();
  #reading: Promise<void> = Promise.resolve();
  /** A job that could not be taken on for a reason that may pass: the disk, the repository. */
  #unread: Uint8Array | undefined;
  #turn: Promise<void> = Promise.resolve();

  private constructor(parts: AgentParts, state: State, past: History | undefined) {
    this.#parts = parts;
    this.#state = state;
    this.#beganMs = parts.clock.uptimeMs();
    this.#reservoir = new Reservoir(parts.reservoirSamples);
    this.serving = new Serving(parts.clock, this.#reservoir);
    this.#worksite = new Worksite(parts.clock);
    this.#watch = new Watch(parts, this.serving, {
      state: () => this.#state,
      post: (event) => this.post(event),
      upkeepId: () => `upkeep-${randomUUID()}`,
      checked: (reading) => this.#checked(reading),
    });
    this.#vitals = new Vitals(parts, this.serving);
    this.#voice = new Voice(parts, parts.connect(this), this.#boot, past);
    this.#freshness = new Freshness(parts, {
      state: () => this.#state,
      post: (event) => this.post(event),
      announce: (what) => this.#voice.announce(what),
    });
    parts.leases.listen((event, message) => this.#linkChanged(event, message));
  }

  /** Goes on where the last process ended. Resolves once the committed model serves. @throws Failure store/corrupt */
  static async start(parts: AgentParts): Promise<Agent> {
    const state = ((await parts.store.state.load()) as State | undefined) ?? newDevice;
    const agent = new Agent(parts, state, pastIn(await parts.store.diary.load()));
    await agent.post({ type: "started" });
    agent.#begin();
    return agent;
  }

  get state(): State {
    return this.#state;
  }

  get #bench(): Bench {
    return {
      state: this.#state,
      serving: this.serving,
      reservoir: this.#reservoir,
      serve: () => this.#serve(),
      prepared: (derived, fit) => this.#voice.prepared(derived, fit),
    };
  }

  /** One answer of the serving model. @throws Failure agent/not-serving, input/shape */
  infer(input: Float32Array): Promise<Float32Array> {
    return this.serving.infer(input);
  }

  model(): ServedModel | undefined {
    return this.serving.model;
  }

  get meter(): Meter {
    return this.serving.meter;
  }

  health(): Health | undefined {
    return this.#health;
  }

  /** Resolves when the event has been taken and its effects are done or, if they are long, begun. */
  post(event: Event): Promise<void> {
    this.#turn = this.#turn.then(() => this.#take(event)).catch((error: unknown) => this.#unexpected(error));
    return this.#turn;
  }

  /** The model that serves, stays; what is at work is given up, and begun again at the next start. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#watch.end(), this.#freshness.end(), this.#telling]);
    this.#worksite.abort();
    await this.#worksite.idle();
    await this.#turn;
    await this.#voice.end();
  }

  connected(): void {
    this.#voice.introduce();
    this.#voice.report(this.#state);
    this.#publishHealth();
  }

  /** Jobs are read one after another, beside what happens: that may have to ask the network. */
  desired(payload: Uint8Array): void {
    this.#reading = this.#reading.then(() => this.#readJob(payload)).catch((error: unknown) => this.#unexpected(error));
  }

  takenOver(): void {
    const message = "another client has connected with the id of this device";
    this.#voice.announce({ level: "error", code: "fleet/taken-over", message });
  }

  async command({ name }: Command): Promise<Reply> {
    switch (name) {
      case "ping":
        return { ok: true, result: { ts: this.#parts.clock.now(), boot: this.#boot } };
      case "recalibrate":
        return this.#watch.recalibrate();
      case "approve":
        return this.#approve();
    }
  }

  async #approve(): Promise<Reply> {
    const { phase } = this.#state;
    if (phase.at !== "WAITING") return { ok: false, code: "job/impossible", message: "approve: nothing waits for it" };
    await this.post({ type: "approved" });
    return { ok: true, result: { id: phase.goal.id } };
  }

  async #readJob(payload: Uint8Array): Promise<void> {
    const reading = await readOrder(this.#parts, payload, this.#state);
    this.#unread = undefined;
    switch (reading.kind) {
      case "repeated":
        return;
      case "withdrawn":
        return this.post({ type: "withdrawn" });
      case "refused":
        if (reading.code === "trust/unreachable") this.#unread = payload;
        return this.post({ type: "refused", ...reading });
      case "job": {
        const unit = this.#parts.leases.present ? "accelerator" : "digital";
        await this.post({ type: "job", job: reading.job, hash: reading.hash, unit });
        if (this.#state.seen?.hash !== reading.hash && !this.#saved) this.#unread = payload;
      }
    }
  }

  /** Where the disk refuses the new state, nothing of it happens. */
  async #take(event: Event): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const before = this.#state.phase.at;
    const { state, effects } = step(this.#state, event);
    if (state !== this.#state) {
      this.#saved = await this.#save(state);
      if (!this.#saved) return this.#publishHealth();
      this.#voice.record(this.#state, state);
      this.#noteCommit(state);
      this.#state = state;
    }
    for (const effect of effects) await this.#do(effect);
    if (state.phase.at !== before) this.#watch.wake();
    if (event.type !== "trusted") this.#voice.report(this.#state);
    this.#publishHealth();
  }

  #noteCommit({ active }: State): void {
    if (!active || active.derived === this.#state.active?.derived) return;
    const { phase } = this.#state;
    this.#voice.committed(active.derived, calibrationOf(phase, active, this.#watch.reading?.agreementPct));
  }

  async #save(state: State): Promise<boolean> {
    try {
      await this.#parts.store.state.save(state);
      return true;
    } catch (error) {
      this.#unexpected(error);
      return false;
    }
  }

  async #do(effect: Effect): Promise<void> {
    switch (effect.do) {
      case "work":
        return this.#work(effect.what);
      case "abort":
        return this.#worksite.abort();
      case "serve":
        return this.#serve();
      case "announce":
        return this.#voice.announce(effect.what);
      case "collect":
        return this.#collect();
    }
  }

  #work(what: Work): void {
    const { phase } = this.#state;
    if (phase.at === "IDLE" || phase.at === "TRIAL") return;
    const { at } = phase;
    const seconds = secondsFor(what, this.#parts.profile);
    const report = (progress: Progress): void => this.#voice.progress(this.#state, progress);
    this.#worksite.begin(
      seconds,
      (signal) => perform(what, { parts: this.#parts, signal, report }, this.#bench),
      (result) => void this.post(outcomeOf(at, result)),
    );
  }

  /** What serves already is left in peace. */
  async #serve(): Promise<void> {
    const wanted = servedBy(this.#state);
    const present = this.serving.loaded;
    if (wanted && present && wanted.derived === present.deployed.derived && wanted.unit === present.deployed.unit)
      return;
    try {
      this.serving.exchange(wanted && (await load(this.#parts, wanted)));
    } catch (error) {
      this.serving.exchange(undefined);
      void this.post({ type: "unservable", derived: wanted?.derived ?? "", message: messageOf(error) });
    }
  }

  async #collect(): Promise<void> {
    await this.#parts.store
      .collect(inUse(this.#state))
      .catch((error: unknown) => this.#parts.log.warn("not tidied up", { error }));
  }

  #linkChanged(event: "lost" | "restored", message: string): void {
    if (this.#closing.signal.aborted) return;
    this.#voice.announce({ level: event === "lost" ? "warning" : "info", code: `link/${event}`, message });
    if (event === "restored") this.#watch.linkRestored();
    this.#publishHealth();
  }

  #begin(): void {
    this.#watch.begin();
    this.#freshness.begin();
    this.#telling = this.#tell();
  }

  async #tell(): Promise<void> {
    const { clock, healthSeconds } = this.#parts;
    const { signal } = this.#closing;
    for (;;) {
      await clock.sleep(healthSeconds * 1000, signal).catch(() => undefined);
      if (signal.aborted) return;
      this.serving.meter.turn();
      if (this.#unread) this.desired(this.#unread);
      this.#publishHealth();
    }
  }

  #checked(reading: ProbeReading | undefined): void {
    if (reading) this.#voice.checked(reading.agreementPct);
    this.#publishHealth();
  }

  #publishHealth(): void {
    const { drift, reading } = this.#watch;
    this.#vitals
      .take({
        boot: this.#boot,
        beganMs: this.#beganMs,
        state: this.#state,
        saved: this.#saved,
        frozen: this.#freshness.frozen,
        drift,
        reading,
      })
      .then((health) => {
        this.#health = health;
        return this.#voice.health(health);
      })
      .catch((error: unknown) => this.#unexpected(error));
  }

  #unexpected(error: unknown): void {
    this.#parts.log.error(messageOf(error), { error });
  }
}

function outcomeOf(at: Working, result: Result<Done>): Event {
  if (result.ok) return { type: "done", at, ...result.value };
  const { error } = result;
  const code: FailureCode = isFailure(error) ? error.code : "job/impossible";
  return { type: "failed", at, code, message: messageOf(error) };
}
