import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import type { MatmulUnit, UnitLayer } from "../../runtime/plan/unit.ts";
import type { Reply } from "../protocol/commands.ts";
import type { LinkHealth, Session } from "../session.ts";
import { bitsNeeded, heldStrength, provenCut } from "./accumulator.ts";
import { checkDevice, checkLayer, isRefusal } from "./checks.ts";
import { type Block, mapLayers, nominalWeights, type Placement } from "./mapping.ts";
import { offsetsOf } from "./offsets.ts";
import { type Gated, productsOf } from "./products.ts";
import { programBlock, setRange } from "./programmer.ts";
import { type CellReading, fitToCells, readsBack, readWorth } from "./read-back.ts";
import { type Resident, resident, strengthOf, trimmed } from "./resident.ts";
import { sumsOf } from "./sums.ts";
import { untrimmed } from "./trim.ts";

export interface AcceleratorStatus extends Reply<"status"> {
  readonly link: LinkHealth;
  readonly uid: string;
}

/** A layer, and its blocks on their tiles. */
interface Placed {
  readonly layer: UnitLayer;
  readonly residents: readonly Resident[];
}

/** How a layer's sums are added up on its tiles. */
export interface LayerAccumulation {
  readonly layer: string;
  /** One above the other; the host adds up what they say. */
  readonly segments: number;
  /** Tiles would have done, were it not for the accumulator's width. */
  readonly wholeSegments: number;
  /** Signed bits that no sum of theirs exceeds. */
  readonly bits: number;
}

/** Of cells that cannot be read. */
const noReadings: ReadonlyMap<Block, CellReading> = new Map();

/**
 * Layers on the tiles of an accelerator. Weights stay resident, vectors go in batches as large as a frame, and as many
 * frames are under way as the device has credits for; partial sums of several tiles are added here (products.ts).
 *
 * After a restart of the device the tiles are programmed again, once, unless corrections were fitted to what they had
 * become. After any other fault no layer is usable, so the owner computes digitally, until `recover` succeeds.
 */
export class AcceleratorUnit implements MatmulUnit {
  readonly name: string;
  /** The chip that calibrations belong to. */
  readonly uid: string;
  readonly #session: Session;
  readonly #profile: AcceleratorProfile;
  readonly #placed: ReadonlyMap<string, Placed>;
  readonly #deafen: () => void;
  #usable = false;
  #released = false;
  #programming: Promise<void> | undefined;
  #programmings = 0;
  /** By what to tell that cells, converters and offsets are still those of this unit; undefined while they change. */
  #setUp: { readonly bootId: number; readonly revision: number } | undefined;
  #refitted = false;

  private constructor(
    session: Session,
    profile: AcceleratorProfile,
    placements: readonly Placement[],
    readings: ReadonlyMap<Block, CellReading>,
  ) {
    this.name = profile.name;
    this.uid = session.device.uid;
    this.#session = session;
    this.#profile = profile;
    this.#placed = new Map(
      placements.map(({ layer, blocks }) => [
        layer.name,
        { layer, residents: blocks.map((block) => resident(profile, layer, block, readings.get(block)?.offsets)) },
      ]),
    );
    this.#deafen = session.listen((event) => {
      if (event === "lost") this.#usable = false;
    });
  }

  /**
   * Chooses which of `layers` the tiles can hold, programs them and sets the converters.
   * @throws Failure `bridge/wrong-device` if the device is not what the profile says, or as Session.request.
   */
  static async place(
    session: Session,
    profile: AcceleratorProfile,
    layers: readonly UnitLayer[],
  ): Promise<AcceleratorUnit> {
    for (const layer of layers) checkLayer(layer);
    const placements = mapLayers(layers, profile.array, (layer) => provenCut(profile, layer));
    checkDevice(session, profile, session.device.uid);
    const readings = readsBack(profile, session) ? await fitToCells(session, profile, placements) : noReadings;
    const unit = new AcceleratorUnit(session, profile, placements, readings);
    await unit.reprogram();
    return unit;
  }

  get layers(): ReadonlySet<string> {
    return this.#usable ? new Set(this.#placed.keys()) : new Set();
  }

  get tilesUsed(): number {
    return this.#everyResident().length;
  }

  get strengths(): readonly number[] {
    return this.#everyResident().map(({ strength }) => strength);
  }

  /** What is proved of the sums of each layer: see accumulator.ts. */
  get accumulation(): readonly LayerAccumulation[] {
    return [...this.#placed.values()].map(({ layer: { name, rows }, residents }) => ({
      layer: name,
      segments: new Set(residents.map(({ block }) => block.fromRow)).size,
      wholeSegments: Math.ceil(rows / this.#profile.array.rows),
      bits: Math.max(...residents.map(({ block, range }) => bitsNeeded(this.#profile, block, range))),
    }));
  }

  /**
   * The weights that the tiles hold as far as is known: rows x columns, row by row. What is known of the error is float
   * minus these.
   * @throws Failure `input/missing` for a layer that is not placed.
   */
  async nominal(layer: string): Promise<Float32Array> {
    const { layer: shape, residents } = this.#find(layer);
    return nominalWeights(shape, residents);
  }

  /**
   * See MatmulUnit.multiply.
   * @param gated leaves out input planes that it does not need
   * @throws Failure `plan/unsupported` for a gate where empty input planes are converted, too: it would save nothing
   */
  async multiply(layer: string, inputs: Uint8Array, count: number, gated?: Gated): Promise<Float32Array> {
    const {
      layer: { rows, columns },
      residents,
    } = this.#find(layer);
    if (inputs.length !== count * rows) {
      throw new Failure(
        "input/shape",
        `${layer}: ${count} vectors of ${rows} codes expected, ${inputs.length} bytes got`,
      );
    }
    if (!this.#usable) throw new Failure("bridge/disconnected", `${this.name} is out of order; recover() it first`);
    if (gated && !this.#profile.converter.skipsEmptyPlanes) {
      throw new Failure("plan/unsupported", `${this.name} converts empty input planes, too: gates would save nothing`);
    }
    return this.#guard(() => productsOf(this.#session, { residents, rows, columns, inputs, count }, gated));
  }

  /** Programs all tiles anew: fresh cells, and converters for them. Calibrations have to be repeated. */
  async reprogram(): Promise<void> {
    if (this.#released) throw new Failure("bridge/refused", `the tiles of ${this.name} hold other layers now`);
    this.#programming ??= this.#program().finally(() => {
      this.#programming = undefined;
    });
    await this.#programming;
  }

  /**
   * Fits the tiles to signals that drift has weakened, without samples: the converters' steps shrink with them, and a
   * gain and an offset of each tile's columns bring the answers to the typical inputs back to what they were. Where
   * cells can be read, it also learns what each weight has become.
   */
  async trim(): Promise<void> {
    await this.#guard(() =>
      this.#change(
        (resident) => this.#refit(resident),
        (resident, sums) => {
          resident.trim = trimmed(resident, sums);
        },
      ),
    );
  }

  /**
   * Opens the link again if it is lost, and programs all tiles unless they are as this unit left them: when only the
   * cable was pulled, calibrations stay good. Tiles that corrections were refitted to do not come back by programming:
   * no layer is usable then, and the owner has to place them anew.
   * @throws Failure `bridge/wrong-device` if another chip answers than before, or another `bridge/...`.
   */
  async recover(): Promise<void> {
    if (!this.#session.connected) await this.#session.reconnect();
    if (!this.#programming && (await this.#isIntact())) {
      this.#usable = !this.#released;
      return;
    }
    if (!this.#refitted) return this.reprogram();
    this.#usable = false;
    checkDevice(this.#session, this.#profile, this.uid);
  }

  /** From now on fresh cells are other ones than corrections are fitted to. */
  refit(): void {
    this.#refitted = true;
  }

  /** The tiles go to another unit; this one is of no use any more. */
  release(): void {
    this.#deafen();
    this.#released = true;
    this.#usable = false;
  }

  async status(): Promise<AcceleratorStatus> {
    const status = await this.#session.request("status", {});
    return { ...status, link: this.#session.health, uid: this.uid };
  }

  #find(layer: string): Placed {
    const placed = this.#placed.get(layer);
    if (!placed) throw new Failure("input/missing", `layer ${layer} is not on the accelerator`);
    return placed;
  }

  #everyResident(): readonly Resident[] {
    return [...this.#placed.values()].flatMap(({ residents }) => residents);
  }

  async #program(): Promise<void> {
    this.#usable = false;
    await this.#session.settled();
    checkDevice(this.#session, this.#profile, this.uid);
    await this.#change(async (resident) => {
      resident.range = resident.freshRange;
      resident.worth = resident.block.worth;
      resident.trim = untrimmed(resident.block.columns);
      resident.strength = 1;
      await programBlock(this.#session, resident.block, resident.range);
    });
    this.#programmings++;
    this.#refitted = false;
    this.#usable = !this.#released;
  }

  /** Converters for the signals that are left, and the weights that are. */
  async #refit(resident: Resident): Promise<void> {
    const { block, emptyRow, typical, freshRange } = resident;
    const left = strengthOf(resident, await sumsOf(this.#session, resident, typical));
    resident.strength = left;
    const strength = heldStrength(this.#profile, block, freshRange, left);
    resident.range = { steps: freshRange.steps.map((step) => step * strength), reads: freshRange.reads };
    if (emptyRow) {
      const worth = await readWorth(this.#session, this.#profile, block, emptyRow);
      resident.worth = worth.map((value) => value / strength);
    }
    await setRange(this.#session, block.tile, resident.range);
  }

  /**
   * Does `work` with each tile, learns its offsets then from its answers to the typical inputs, which `done` gets too,
   * and remembers by what all of it is known again.
   */
  async #change(
    work: (resident: Resident) => Promise<void>,
    done?: (resident: Resident, sums: Int32Array) => void,
  ): Promise<void> {
    const { bootId } = this.#session.device;
    this.#setUp = undefined;
    for (const resident of this.#everyResident()) {
      await work(resident);
      const sums = await sumsOf(this.#session, resident, resident.typical);
      resident.offsets = offsetsOf(this.#profile, resident, sums, strengthOf(resident, sums));
      done?.(resident, sums);
    }
    const { revision } = await this.#session.request("status", {});
    this.#setUp = { bootId, revision };
  }

  /** Whether the device has not restarted since the last change, and nobody else has changed its tiles. */
  async #isIntact(): Promise<boolean> {
    const { device } = this.#session;
    const setUp = this.#setUp;
    if (setUp?.bootId !== device.bootId || device.uid !== this.uid) return false;
    const { revision } = await this.#session.request("status", {});
    return revision === setUp.revision && setUp === this.#setUp;
  }

  /** Does `work`; if the device turns out to have restarted, programs it, unless somebody has, and does it once more. */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    await this.#programming;
    const before = this.#programmings;
    try {
      return await work().catch(async (error: unknown) => {
        if (!hasRestarted(error) || this.#refitted) throw error;
        if (this.#programmings === before) await this.reprogram();
        return work();
      });
    } catch (error) {
      this.#usable = false;
      throw error;
    }
  }
}

/** The link works, but the tiles do not hold what they should. */
function hasRestarted(error: unknown): boolean {
  return (
    isRefusal(error, "not-committed") || (isFailure(error, "bridge/disconnected") && error.detail.restarted === true)
  );
}
