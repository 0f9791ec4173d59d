import * as z from "zod/mini";
import { Failure, messageOf } from "../../../runtime/base/failure.ts";
import { parseJson } from "../../../runtime/base/json.ts";
import { describeIssues } from "../../../runtime/base/schema.ts";
import type { Audit } from "../audit.ts";
import type { Engine } from "../engine.ts";
import type { RolloutStatus } from "../rollout.ts";
import type { FleetView } from "../view.ts";

const request = z.discriminatedUnion("on", [
  z.strictObject({
    on: z.literal("rollout"),
    id: z.string(),
    action: z.enum(["pause", "resume", "cancel", "rollback"]),
  }),
  z.strictObject({ on: z.literal("device"), id: z.string(), action: z.enum(["approve", "recalibrate", "rollback"]) }),
]);

const statusOf: Readonly<Record<"pause" | "resume" | "cancel" | "rollback", RolloutStatus>> = {
  pause: "paused",
  resume: "running",
  cancel: "canceled",
  rollback: "rolled-back",
};

export interface ActionParts {
  readonly view: FleetView;
  readonly audit: Pick<Audit, "note">;
  /** Undefined while the broker was not reached. */
  readonly engine: () => Engine | undefined;
  readonly say: (line: string) => void;
}

/** What the page may do: the same as the commands of `polaredge fleet`, with the same signatures and the same log. */
export class Actions {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  /** Returns what was done. @throws Failure input/..., fleet/unreachable */
  async take(body: string): Promise<string> {
    const json = parseJson(body, "action", "input/malformed");
    const parsed = request.safeParse(json);
    if (!parsed.success) throw new Failure("input/malformed", describeIssues("action", json, parsed.error.issues));
    const engine = this.#parts.engine();
    if (!engine) throw new Failure("fleet/unreachable", "the broker is not connected");
    const { on, id, action } = parsed.data;
    if (on === "device") await this.#order(engine, id, action);
    else await this.#change(engine, id, statusOf[action]);
    this.#parts.say(`${action} ${on} ${id}`);
    return `${action} ${id}`;
  }

  async #order(engine: Engine, device: string, action: string): Promise<void> {
    const { view, audit } = this.#parts;
    if (!view.devices.has(device)) throw new Failure("input/missing", `${device}: there is no such device`);
    await audit.note(action, { devices: [device] }, Date.now());
    if (action === "approve") await engine.command(device, action);
    else await engine.order(device, `${action}-${Date.now().toString(36)}`, { action });
  }

  /** A rollout that goes on is driven by this process until it ends. */
  async #change(engine: Engine, id: string, status: RolloutStatus): Promise<void> {
    const rollout = this.#parts.view.rollouts.get(id);
    if (rollout && !["running", "paused"].includes(rollout.status)) {
      throw new Failure("input/malformed", `${id} has ended: ${rollout.status}`);
    }
    await engine.change(id, status);
    if (status !== "running") return;
    engine.drive(id).catch((error: unknown) => this.#parts.say(`${id} is not driven any more: ${messageOf(error)}`));
  }
}
