import { rmSync, symlinkSync } from "node:fs";
import { openPty, type Pty } from "../../firmware-bridge/transport/pty.ts";
import type { Specimen } from "./specimens.ts";

/** The socket that a device is plugged in; at `link`, if given, the same path after each replug. */
export class Port {
  readonly #specimen: Specimen;
  readonly #link: string | undefined;
  #pty: Pty | undefined;

  constructor(specimen: Specimen, link: string | undefined) {
    this.#specimen = specimen;
    this.#link = link;
  }

  /** Returns the path. @throws Failure `bridge/open` where there are no pseudo terminals */
  async plug(): Promise<string> {
    if (this.#pty) return this.#link ?? this.#pty.path;
    const pty = await openPty();
    this.#pty = pty;
    void this.#specimen.serve(pty.device);
    if (!this.#link) return pty.path;
    rmSync(this.#link, { force: true });
    symlinkSync(pty.path, this.#link);
    return this.#link;
  }

  async unplug(): Promise<void> {
    const pty = this.#pty;
    this.#pty = undefined;
    if (this.#link) rmSync(this.#link, { force: true });
    await pty?.unplug();
  }
}
