import { Failure } from "../base/failure.ts";
import type { LinkCounters, LinkedAccelerator, LinkListener, MatmulUnit, UnitLayer } from "../plan/unit.ts";

/**
 * The one accelerator and the models that want it. Placing a model's layers takes the tiles from the model before:
 * what that still asks is then computed digitally, never on weights of somebody else. A lease ends with the process
 * too. A cable that was pulled ends none, and a restart of the device none either as long as programming the same tiles
 * again makes them what they were: not after a refit to what had become of them.
 */
export class Leases implements LinkedAccelerator {
  readonly #accelerator: LinkedAccelerator | undefined;
  #current: Lease | undefined;
  readonly #owners = new Set<string>();

  constructor(accelerator: LinkedAccelerator | undefined) {
    this.#accelerator = accelerator;
  }

  get present(): boolean {
    return this.#accelerator !== undefined;
  }

  get linked(): boolean | undefined {
    return this.#accelerator?.linked;
  }

  get counters(): LinkCounters | undefined {
    return this.#accelerator?.counters;
  }

  listen(listener: LinkListener): void {
    this.#accelerator?.listen(listener);
  }

  /** @throws Failure bridge/... */
  async place(layers: readonly UnitLayer[]): Promise<MatmulUnit> {
    if (!this.#accelerator) throw new Failure("bridge/open", "no accelerator is configured");
    if (this.linked === false) throw new Failure("bridge/disconnected", "the accelerator is not connected");
    this.#current?.end();
    this.#owners.clear();
    this.#current = new Lease(await this.#accelerator.place(layers));
    return this.#current;
  }

  /** For a refit to what the tiles have become. */
  async held(): Promise<MatmulUnit | undefined> {
    if (this.#current?.lost !== false) return undefined;
    this.#current.refit();
    return this.#current;
  }

  /** Ends the lease: what served so far has corrections for other cells. */
  async renewed(): Promise<MatmulUnit | undefined> {
    const lease = this.#current;
    if (lease?.lost !== false) return undefined;
    lease.end();
    this.#owners.clear();
    this.#current = await lease.renewed();
    return this.#current;
  }

  /** The tiles as they are programmed now are right for this prepared model too: a refit has the weights of the one before. */
  grant(derived: string): void {
    this.#owners.add(derived);
  }

  /** Undefined if the tiles hold something else. */
  of(derived: string): MatmulUnit | undefined {
    return this.holds(derived) ? this.#current : undefined;
  }

  /** Whether the tiles hold this prepared model, as far as it was placed, and answer. */
  holds(derived: string): boolean {
    return this.#owners.has(derived) && this.#current?.lost === false;
  }
}

class Lease implements MatmulUnit {
  readonly #unit: MatmulUnit;
  readonly #placed: number;
  #ended = false;

  constructor(unit: MatmulUnit) {
    this.#unit = unit;
    this.#placed = unit.layers.size;
  }

  get lost(): boolean {
    return this.#ended || (this.#placed > 0 && this.#unit.layers.size === 0);
  }

  get name(): string {
    return this.#unit.name;
  }

  get uid(): string {
    return this.#unit.uid;
  }

  get layers(): ReadonlySet<string> {
    return this.#ended ? new Set() : this.#unit.layers;
  }

  get strengths(): readonly number[] | undefined {
    return this.#unit.strengths;
  }

  get tilesUsed(): number | undefined {
    return this.#unit.tilesUsed;
  }

  end(): void {
    this.#ended = true;
  }

  refit(): void {
    this.#unit.refit?.();
  }

  /** Another one, of the same tiles with fresh cells. */
  async renewed(): Promise<Lease | undefined> {
    if (!this.#unit.reprogram) return undefined;
    await this.#unit.reprogram();
    return new Lease(this.#unit);
  }

  async multiply(layer: string, inputs: Uint8Array, count: number): Promise<Float32Array> {
    this.#assertMine();
    const products = await this.#unit.multiply(layer, inputs, count);
    this.#assertMine();
    return products;
  }

  async nominal(layer: string): Promise<Float32Array> {
    this.#assertMine();
    return this.#unit.nominal(layer);
  }

  async trim(): Promise<void> {
    this.#assertMine();
    await this.#unit.trim?.();
  }

  #assertMine(): void {
    if (this.#ended) throw new Failure("bridge/refused", `${this.#unit.name}: its tiles now hold another model`);
  }
}
