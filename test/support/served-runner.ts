import { Reservoir } from "../../runtime/agent/reservoir.ts";
import { Serving } from "../../runtime/agent/serving.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import type { Runner } from "../../runtime/plan/run.ts";
import { type InferenceServer, openServer } from "../../runtime/serve/server.ts";

/** Serves a model on a socket as the agent does, without the rest of a device; its name there is kws. */
export function serveRunner(engine: Runner, socket: string): Promise<InferenceServer> {
  const serving = new Serving(systemClock, new Reservoir(0));
  const blob = { sha256: "", bytes: 0 };
  serving.exchange({
    engine,
    probes: { count: 0, inputs: new Float32Array(), answers: new Float32Array() },
    deployed: {
      name: "kws",
      version: "1.0.0",
      model: blob,
      calibration: blob,
      probes: blob,
      accept: { minAgreementPct: 0 },
      trial: { passes: 0, seconds: 0, minInferences: 0 },
      unit: "digital",
      derived: "",
    },
  });
  return openServer(
    { socket },
    {
      meter: serving.meter,
      model: () => serving.model,
      health: () => undefined,
      infer: (input) => serving.infer(input),
    },
  );
}
