import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { Meter } from "../health/meter.ts";
import type { Probes } from "../health/probes.ts";
import type { ServedModel } from "../serve/servable.ts";
import type { Engine } from "./ports.ts";
import type { Reservoir } from "./reservoir.ts";
import type { Deployed } from "./state.ts";

export interface Loaded {
  readonly deployed: Deployed;
  readonly engine: Engine;
  readonly probes: Probes;
}

export interface ServingRecord {
  readonly seconds: number;
  readonly inferences: number;
  readonly errors: number;
  /** Of late. */
  readonly p95Ms: number | undefined;
}

/** The model that answers now. One inference at a time. */
export class Serving {
  readonly meter: Meter = new Meter();
  readonly #clock: Clock;
  readonly #reservoir: Reservoir;
  #loaded: Loaded | undefined;
  #model: ServedModel | undefined;
  #sinceMs = 0;
  #before = { total: 0, errors: 0 };
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, reservoir: Reservoir) {
    this.#clock = clock;
    this.#reservoir = reservoir;
  }

  get loaded(): Loaded | undefined {
    return this.#loaded;
  }

  /** The same, as other programs see it. */
  get model(): ServedModel | undefined {
    return this.#model;
  }

  /** How the present model has served. */
  get record(): ServingRecord {
    const seconds = (this.#clock.uptimeMs() - this.#sinceMs) / 1000;
    const { total, errors } = this.meter;
    return {
      seconds,
      inferences: total - this.#before.total,
      errors: errors - this.#before.errors,
      p95Ms: this.meter.percentile(0.95),
    };
  }

  /** At once: what waits is answered by the next model, only the inference under way ends on the old one. */
  exchange(next: Loaded | undefined): void {
    this.#loaded = next;
    this.#model = next && servedModel(next);
    this.#sinceMs = this.#clock.uptimeMs();
    this.#before = { total: this.meter.total, errors: this.meter.errors };
    this.meter.forget();
  }

  /**
   * @param input one sample in the shape of the model's input; kept for recalibration if the reservoir is on
   * @throws Failure agent/not-serving, input/shape
   */
  async infer(input: Float32Array): Promise<Float32Array> {
    const output = await this.ask(input);
    this.#reservoir.add(input);
    return output;
  }

  /** The same way for the agent's own questions, of which nothing is kept. */
  ask(input: Float32Array): Promise<Float32Array> {
    const answer = this.#last.then(() => this.#run(input));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Resolves when all that was asked before has its answer; never if an inference hangs. */
  async turn(): Promise<void> {
    await this.#last;
  }

  async #run(input: Float32Array): Promise<Float32Array> {
    const engine = this.#loaded?.engine;
    if (!engine) throw new Failure("agent/not-serving", "no model is installed yet");
    if (input.length !== engine.inputLength) {
      const message = `input: expected ${engine.inputLength} numbers, found ${input.length}`;
      throw new Failure("input/shape", message);
    }
    const began = this.#clock.uptimeMs();
    let ok = false;
    try {
      const output = await engine.run(input);
      ok = output.every(Number.isFinite);
      return output;
    } finally {
      this.meter.count(this.#clock.uptimeMs() - began, ok);
    }
  }
}

function servedModel({ deployed, engine }: Loaded): ServedModel {
  return { name: deployed.name, version: deployed.version, input: engine.input, output: engine.output };
}
