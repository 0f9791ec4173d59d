import { readFile } from "node:fs/promises";
import { openPlan } from "../../runtime/plan/open.ts";
import { decodeModel } from "../../runtime/quantize/file.ts";
import { serveRunner } from "./served-runner.ts";

/** A process that serves a prepared model: FILE SOCKET. */
const [, , file = "", socket = ""] = process.argv;
await serveRunner(await openPlan(decodeModel(await readFile(file))), socket);
process.stdout.write("ready\n");
