import type { Simulator } from "rp2040js";
import { Failure } from "../../runtime/base/failure.ts";
import type { Transport } from "../transport/transport.ts";
import { type BoardMemory, type Exposure, expose } from "./bench.ts";
import { STRAPS_ADDRESS, type Straps, strapWords } from "./straps.ts";

/** Where the vectors lie: behind the second-stage boot loader. */
const IMAGE_OFFSET = 0x100;
const VECTORS = 0x1000_0000 + IMAGE_OFFSET;
/** Of the core's own registers: Application Interrupt and Reset Control (ARM DDI 0419, B3.2.6). */
const AIRCR = 0xd0c;
/** Of the UART's flags (ARM DDI 0183, 3.3.3). */
const RX_FULL = 0x40;
const NANOS_PER_CYCLE = 8;
/** Instructions between two turns of the event loop: a few milliseconds. */
const SLICE = 100_000;

/** The C firmware's RP2040 image in this process, instruction by instruction (rp2040js); about a third of its speed. */
export class Rp2040Device {
  readonly #make: () => Simulator;
  readonly #image: Uint8Array;
  #chip: Simulator;
  #incoming: number[] = [];
  #outgoing: number[] = [];
  #host: Transport | undefined;
  #stopped = false;

  private constructor(make: () => Simulator, image: Uint8Array, straps: Straps) {
    this.#make = make;
    this.#image = image;
    this.#chip = this.#boot(undefined);
    void this.#memory.write(STRAPS_ADDRESS, strapWords(straps));
    this.#run();
  }

  /**
   * @param image the firmware as it lies in flash, from the vectors on
   * @throws Failure `input/missing` where rp2040js is not installed
   */
  static async start(image: Uint8Array, straps: Straps): Promise<Rp2040Device> {
    const { Simulator } = await import("rp2040js").catch((cause: unknown) => {
      throw new Failure("input/missing", "no RP2040 emulator: npm install rp2040js", {}, cause);
    });
    return new Rp2040Device(() => new Simulator(), image, straps);
  }

  /** Plugs it in. Resolves with the reason when the line has ended. */
  serve(host: Transport): Promise<string> {
    this.#host = host;
    return new Promise((resolve) => {
      host.listen({
        data: (bytes) => {
          for (const byte of bytes) this.#incoming.push(byte);
        },
        closed: (reason) => {
          if (this.#host === host) this.#host = undefined;
          resolve(reason);
        },
      });
    });
  }

  /** As its reset button does: the RAM keeps what it holds. */
  reset(): void {
    this.#chip = this.#boot(this.#chip);
  }

  /** Lets time go by and the room become warm, without a word on the line. */
  expose(exposure: Exposure): Promise<void> {
    return expose(this.#memory, exposure);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
  }

  get #memory(): BoardMemory {
    const { sramView } = this.#chip.rp2040;
    return {
      read: async (address) => sramView.getUint32(address - STRAPS_ADDRESS, true),
      write: async (address, words) => {
        for (const [i, word] of words.entries()) sramView.setUint32(address - STRAPS_ADDRESS + 4 * i, word, true);
      },
    };
  }

  #boot(before: Simulator | undefined): Simulator {
    const chip = this.#make();
    const { rp2040 } = chip;
    const silent = (): void => {};
    rp2040.logger = { debug: silent, info: silent, warn: silent, error: silent };
    if (before) rp2040.sram.set(before.rp2040.sram);
    rp2040.flash.set(this.#image, IMAGE_OFFSET);
    rp2040.core.VTOR = VECTORS;
    rp2040.core.reset();
    rp2040.uart[0].onByte = (byte) => this.#outgoing.push(byte);
    const { ppb } = rp2040;
    const write = ppb.writeUint32.bind(ppb);
    ppb.writeUint32 = (offset, value) => (offset === AIRCR ? this.reset() : write(offset, value));
    this.#incoming = [];
    return chip;
  }

  #run(): void {
    if (this.#stopped) return;
    const asleep = this.#slice();
    if (this.#outgoing.length > 0) this.#host?.write(Uint8Array.from(this.#outgoing));
    this.#outgoing = [];
    if (asleep) setTimeout(() => this.#run(), 1);
    else setImmediate(() => this.#run());
  }

  /** Some instructions. Returns whether it sleeps and there is nothing that could wake it before its next tick. */
  #slice(): boolean {
    let at = 0;
    for (let i = 0; i < SLICE; i++) {
      const { clock, rp2040 } = this.#chip;
      const { core, uart } = rp2040;
      if (at < this.#incoming.length && (uart[0].flags & RX_FULL) === 0) uart[0].feedByte(this.#incoming[at++] ?? 0);
      if (!core.waiting) clock.tick(core.executeInstruction() * NANOS_PER_CYCLE);
      else {
        clock.tick(clock.nanosToNextAlarm);
        if (core.checkForInterrupts()) core.waiting = false;
        if (at >= this.#incoming.length) {
          this.#incoming = [];
          return true;
        }
      }
    }
    this.#incoming = this.#incoming.slice(at);
    return false;
  }
}
