import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { type FirmwareImage, makeImage, parseImage } from "../management/image.ts";

const ERASED = 0xff;
const EMULATED_SLOT_BYTES = 256 * 1024;

/** The other one of two slots. */
export const other = (slot: number): number => 1 - slot;

/**
 * What a device keeps without power: two slots for firmware images, which one is confirmed, and whether the other one
 * is to be tried or is on trial. The decisions are those of firmware/images.c.
 */
export class Flash {
  readonly board: string;
  readonly slots: readonly [Uint8Array, Uint8Array];
  #confirmed = 0;
  #pending = false;
  #trying = false;

  /** @param factory the image that is confirmed in slot 0 */
  constructor(board: string, slotBytes: number, factory: Uint8Array = factoryImage(board)) {
    if (factory.length > slotBytes) throw new Failure("firmware/damaged", "the image is larger than a slot");
    this.board = board;
    this.slots = [new Uint8Array(slotBytes).fill(ERASED), new Uint8Array(slotBytes).fill(ERASED)];
    this.slots[0].set(factory);
  }

  /** The slot that runs. */
  get active(): number {
    return this.#trying ? other(this.#confirmed) : this.#confirmed;
  }

  /** Whether what runs is not on trial. */
  get confirmed(): boolean {
    return !this.#trying;
  }

  get pending(): boolean {
    return this.#pending;
  }

  erase(slot: number): void {
    this.slots[slot].fill(ERASED);
  }

  image(slot: number): FirmwareImage | undefined {
    return imageIn(this.slots[slot]);
  }

  isForBoard({ board }: FirmwareImage): boolean {
    return board === this.board;
  }

  /** As a boot loader: begins a trial that is due, or ends one that nobody confirmed. */
  boot(): void {
    const candidate = this.#pending ? this.image(other(this.#confirmed)) : undefined;
    this.#trying = candidate !== undefined && this.isForBoard(candidate);
    this.#pending = false;
  }

  test(): void {
    this.#pending = true;
  }

  confirm(): void {
    this.#confirmed = this.active;
    this.#trying = false;
    this.#pending = false;
  }
}

/** Of a device that only this process knows: its board is called "emulator". */
export function emulatedFlash(): Flash {
  return new Flash("emulator", EMULATED_SLOT_BYTES);
}

function factoryImage(board: string): Uint8Array {
  return makeImage({ version: "0.0.1", board, program: new TextEncoder().encode("polaredge") });
}

/** Undefined where there is none, or a damaged one. */
export function imageIn(bytes: Uint8Array): FirmwareImage | undefined {
  try {
    return parseImage(bytes);
  } catch (error) {
    if (isFailure(error, "firmware/damaged")) return undefined;
    throw error;
  }
}
