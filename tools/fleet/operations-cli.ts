import type { Command } from "commander";
import { decimal, wholeNumber } from "../cli/arguments.ts";
import { EXIT } from "../cli/exit.ts";
import type { DeployOptions, DeskOptions } from "./operations.ts";
import type { ServeOptions } from "./page/serve.ts";
import type { SimulateOptions } from "./simulate-command.ts";

const WHOM = "all, names with commas, tag:, profile:, version:, status: or failed:ROLLOUT";

/** A command that works at the broker: `fleet.json` says where, as { "broker": {"url", "tls"}, "folder" }. */
function atDesk(fleet: Command, name: string, description: string): Command {
  return fleet
    .command(name)
    .description(description)
    .requiredOption("--config <fleet.json>", "broker, and the operator's folder")
    .option("--json", "print as JSON");
}

/** Adds what an operator does day by day. */
export function addOperations(fleet: Command): void {
  atDesk(fleet, "ls", "The devices: online, model, health, job.")
    .option("--to <devices>", WHOM, "all")
    .action(async (options: DeskOptions & { to: string }) => {
      const { list } = await import("./operations.ts");
      console.log(await list(options));
    });
  atDesk(fleet, "show <device>", "All that a device says of itself.").action(
    async (device: string, options: DeskOptions) => {
      const { show } = await import("./operations.ts");
      console.log(await show(device, options));
    },
  );
  addDeploy(fleet);
  addSimulate(fleet);
  addServe(fleet);
  atDesk(fleet, "watch", "The rollouts, and where their devices stand.").action(async (options: DeskOptions) => {
    const { watch } = await import("./operations.ts");
    console.log(await watch(options));
  });
  fleet
    .command("artifacts")
    .description("Give releases to devices that reach only their broker (trust.repository mqtt:), until Ctrl-C.")
    .requiredOption("--config <fleet.json>", "broker, and the operator's folder")
    .addHelpText("after", "\nA deploy does the same while it runs.")
    .action(async (options: DeskOptions) => {
      const { serveArtifacts } = await import("./operations.ts");
      await serveArtifacts(options);
    });
  for (const [name, status, description] of [
    ["pause", "paused", "Order no more devices of a rollout."],
    ["resume", "running", "Go on with a rollout, whoever began it."],
    ["cancel", "canceled", "End a rollout, and take back orders that were not carried out yet."],
  ] as const) {
    atDesk(fleet, `${name} <rollout>`, description).action(async (id: string, options: DeskOptions) => {
      const { change } = await import("./operations.ts");
      console.log(await change(id, status, options));
    });
  }
  addOrders(fleet);
  atDesk(fleet, "audit", "What operators did; fails if a line of the log was changed.").action(
    async (options: DeskOptions) => {
      const { audit } = await import("./operations.ts");
      console.log(await audit(options));
    },
  );
}

/** What is said to a selection of devices at once. */
function addOrders(fleet: Command): void {
  atDesk(fleet, "approve", "Agree to what devices wait for (deploy --consent).")
    .requiredOption("--to <devices>", WHOM)
    .action(async (options: DeskOptions & { to: string }) => {
      const { approve } = await import("./operations.ts");
      console.log(await approve(options));
    });
  const orders = {
    rollback: "Back to the model before.",
    recalibrate: "Fit the corrections anew.",
    remove: "Take the model away; the device serves nothing until it gets another one.",
  } as const;
  for (const action of ["rollback", "recalibrate", "remove"] as const) {
    const what = orders[action];
    atDesk(fleet, action, what)
      .requiredOption("--to <devices>", WHOM)
      .action(async (options: DeskOptions & { to: string }) => {
        const { order } = await import("./operations.ts");
        console.log(await order(action, options));
      });
  }
}

function addServe(fleet: Command): void {
  fleet
    .command("serve")
    .description("The fleet as a web page: devices, rollouts, what each device did and why, the audit log.")
    .requiredOption("--config <fleet.json>", "broker, and the operator's folder")
    .option("--host <address>", "to listen on; any but this machine's own needs a token", "127.0.0.1")
    .option("--port <number>", "to listen on", wholeNumber, 8787)
    .option("--token-file <file>", "what visitors must know; by default none here, and a new one elsewhere")
    .option("--allow-actions", "pause, resume, cancel, roll back and recalibrate from the page; else it only looks")
    .option("--json", "print where it is, and the token, as JSON")
    .addHelpText(
      "after",
      `
Over a network, put a web server with TLS in front of it: the token would be read by others on the way.

Example:
  polaredge fleet serve --config fleet.json --allow-actions`,
    )
    .action(async (options: ServeOptions) => {
      const { serve } = await import("./page/serve.ts");
      await serve(options);
    });
}

function addSimulate(fleet: Command): void {
  fleet
    .command("simulate")
    .description("Devices that are none, for load and for trying rollouts: releases with the notes 'bad' fail there.")
    .requiredOption("--config <fleet.json>", "broker, and the operator's folder")
    .option("--devices <count>", "how many", wholeNumber, 100)
    .option("--seed <number>", "of their delays", wholeNumber, 1)
    .option("--step-ms <milliseconds>", "what a step of a job takes at most", wholeNumber, 1000)
    .option("--health-seconds <seconds>", "between two reports of its health", decimal, 10)
    .option("--json", "say who joined as JSON")
    .action(async (options: SimulateOptions) => {
      const { simulate } = await import("./simulate-command.ts");
      await simulate(options);
    });
}

function addDeploy(fleet: Command): void {
  atDesk(fleet, "deploy <name-version>", "Roll a release out in waves, and stop when devices fail.")
    .option("--to <devices>", WHOM, "all")
    .option("--waves <shares>", "rising, ending at 100%", "1%,10%,100%")
    .option("--soak <seconds>", "after each wave", decimal, 60)
    .option("--max-in-flight <count>", "devices at work at once", wholeNumber, 200)
    .option("--abort-pct <percent>", "of the ordered devices may be bad", decimal, 10)
    .option("--abort-min <count>", "so many may be in any case", wholeNumber, 1)
    .option("--on-abort <action>", "pause, cancel, or rollback what was committed", "pause")
    .option("--dry-run", "only say what would be done")
    .option("--rehearse", "devices fetch, prepare and test it, and go on with what they have")
    .option("--approve", "pause after each wave, until an operator says resume")
    .option("--silent <seconds>", "without a word, after which nothing is expected of a device", decimal, 900)
    .option("--window <HH:MM-HH:MM>", "when devices may exchange their model, UTC; fetched before")
    .option("--consent", "only after somebody at the device agreed (cmd/approve, Home Assistant)")
    .option("--max-kbps <kilobytes>", "a second, of each device's download", wholeNumber)
    .addHelpText(
      "after",
      "\nExample:\n  polaredge fleet deploy kws-1.4.0 --config fleet.json --to tag:line-3 --waves 1%,10%,100%",
    )
    .action(async (release: string, options: DeployOptions) => {
      const { deploy } = await import("./operations.ts");
      const { text, done } = await deploy(release, options);
      console.log(text);
      if (!done) process.exitCode = EXIT.failed;
    });
}
