import { readFile } from "node:fs/promises";
import { Reservoir } from "../../runtime/agent/reservoir.ts";
import { Serving } from "../../runtime/agent/serving.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { openPlan } from "../../runtime/plan/open.ts";
import { decodeModel } from "../../runtime/quantize/file.ts";
import { openServer } from "../../runtime/serve/server.ts";

/** A process that serves a prepared model as the agent does, without the rest of a device: FILE SOCKET. */
const [, , file = "", socket = ""] = process.argv;
const serving = new Serving(systemClock, new Reservoir(0));
const blob = { sha256: "", bytes: 0 };
serving.exchange({
  engine: await openPlan(decodeModel(await readFile(file))),
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
await openServer(
  { socket },
  {
    meter: serving.meter,
    model: () => serving.model,
    health: () => undefined,
    infer: (input) => serving.infer(input),
  },
);
process.stdout.write("ready\n");
