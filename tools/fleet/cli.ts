import type { Command } from "commander";
import { decimal, wholeNumber } from "../cli/arguments.ts";
import type { CertificateOptions } from "./certificate.ts";
import type { KeysOptions, ReleaseOptions, RevokeOptions, VerifyOptions } from "./commands.ts";
import { addOperations } from "./operations-cli.ts";

/** Adds `polaredge fleet ...`. */
export function addFleet(program: Command): void {
  const fleet = program.command("fleet").description("Run a fleet: sign releases, roll them out, watch the devices.");
  addSigning(fleet);
  addBroker(fleet);
  addOperations(fleet);
}

function addBroker(fleet: Command): void {
  fleet
    .command("ca <name>")
    .description(
      "Issue a certificate: for the broker with --host (and configurations of Mosquitto and NATS), else a client.",
    )
    .requiredOption("--folder <folder>", "of the certificate authority; made when there is none")
    .option("--host <names>", "by which clients reach the broker, with commas")
    .option("--port <number>", "of the broker", wholeNumber, 8883)
    .option("--json", "print the paths as JSON")
    .addHelpText(
      "after",
      `
The name is the user of the broker's ACL: a device id, fleet, or homeassistant.

Examples:
  polaredge fleet ca broker --folder ca --host broker.example.org
  polaredge fleet ca pi-1 --folder ca`,
    )
    .action(async (name: string, options: CertificateOptions) => {
      const { certificate } = await import("./certificate.ts");
      console.log(await certificate(name, options));
    });
}

function addSigning(fleet: Command): void {
  fleet
    .command("keys")
    .description("Create the operator's folder: keys of all roles, metadata, and the root.json that devices get.")
    .requiredOption("--folder <folder>", "the operator's folder")
    .option("--root-keys <count>", "how many root keys", wholeNumber, 1)
    .option("--threshold <count>", "how many of them must sign a new root", wholeNumber, 1)
    .option("--rotate <role>", "only a new key: root, targets, snapshot, timestamp, releases or assignments")
    .option("--renew", "only new dates: the timestamp lasts 7 days, the snapshot 30")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nExample:\n  polaredge fleet keys --folder operator --root-keys 3 --threshold 2")
    .action(async (options: KeysOptions) => {
      const { keys } = await import("./commands.ts");
      console.log(await keys(options));
    });
  addRelease(fleet);
  fleet
    .command("revoke <name> <version>")
    .description("Withdraw a release: devices don't install it any more, and don't start it where they have it.")
    .requiredOption("--folder <folder>", "the operator's folder")
    .option("--json", "print as JSON")
    .action(async (name: string, version: string, options: RevokeOptions) => {
      const { revoke } = await import("./commands.ts");
      console.log(await revoke(name, version, options));
    });
  fleet
    .command("sign <assignment.json>")
    .description("Print an assignment in its signed envelope, as a device takes it on job/desired.")
    .requiredOption("--folder <folder>", "the operator's folder")
    .action(async (file: string, options: { folder: string }) => {
      const { sign } = await import("./commands.ts");
      console.log(await sign(file, options));
    });
  fleet
    .command("verify")
    .description("Check a repository as a device does that was enrolled with this root, and list its releases.")
    .requiredOption("--root <root.json>", "what devices were enrolled with")
    .requiredOption("--repository <folder or URL>", "the published repository")
    .option("--json", "print as JSON")
    .action(async (options: VerifyOptions) => {
      const { verify } = await import("./commands.ts");
      console.log(await verify(options));
    });
}

function addRelease(fleet: Command): void {
  fleet
    .command("release <model>")
    .description("Sign and publish a release: a float model with its samples, for whom, and what it must show.")
    .requiredOption("--folder <folder>", "the operator's folder")
    .requiredOption("--name <name>", "of the model")
    .requiredOption("--version <version>", "of the release")
    .requiredOption("--calibration <x.npy>", "inputs to calibrate with")
    .option("--statistics", "publish the statistics of the calibration inputs instead of these")
    .requiredOption("--probes <x.npy>", "other inputs, to judge by")
    .option("--index <number>", "devices that committed this never install a lower index", wholeNumber, 0)
    .option("--profiles <names>", "device profiles that it is for, with commas; any by default")
    .option("--min-agreement <percent>", "with its own float answers", decimal, 90)
    .option("--min-continuity <percent>", "with the answers of the model that it replaces", decimal)
    .option("--max-trial-errors <percent>", "of all it is asked on trial", decimal)
    .option("--max-trial-p95 <milliseconds>", "latency on trial", decimal)
    .option("--max-residual <share>", "of its answers to the probes on trial", decimal)
    .option("--trial-seconds <seconds>", "how long it serves before it is committed", decimal, 30)
    .option("--trial-passes <count>", "good checks before it is committed", wholeNumber, 3)
    .option("--notes <text>", "for people")
    .addHelpText(
      "after",
      "\nExample:\n  polaredge fleet release kws.onnx --folder operator --name kws --version 1.4.0 --calibration c.npy --probes p.npy",
    )
    .action(async (model: string, options: ReleaseOptions) => {
      const { release } = await import("./commands.ts");
      console.log(JSON.stringify(await release(model, options)));
    });
}
