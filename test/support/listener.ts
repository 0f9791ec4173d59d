import type { Command, FleetListener, Reply } from "../../runtime/fleet/topics.ts";

/** Remembers what the broker brought. */
export class Listener implements FleetListener {
  connections = 0;
  taken = 0;
  readonly jobs: string[] = [];
  readonly commands: Command[] = [];

  connected(): void {
    this.connections++;
  }

  desired(payload: Uint8Array): void {
    this.jobs.push(new TextDecoder().decode(payload));
  }

  takenOver(): void {
    this.taken++;
  }

  async command(command: Command): Promise<Reply> {
    this.commands.push(command);
    return { ok: true, result: { number: this.commands.length } };
  }
}
