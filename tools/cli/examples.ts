import type { Command } from "commander";

/** Of commands whose help needs nothing else. */
const examples: Readonly<Record<string, string>> = {
  "profile list": "profile list --json",
  demo: "demo --keep",
  "exit-codes": "exit-codes --json",
  "firmware state": "firmware state /dev/serial/by-id/usb-...",
  "firmware update": "firmware update usb:2e8a:000a accelerator-1.1.0.bin --json",
  "fleet revoke": "fleet revoke kws 1.4.0 --folder operator",
  "fleet sign": "fleet sign assignment.json --folder operator",
  "fleet verify": "fleet verify --root operator/root.json --repository https://releases.example/",
  "fleet ls": "fleet ls --config fleet.json --to tag:line-3",
  "fleet show": "fleet show press-17 --config fleet.json",
  "fleet simulate": "fleet simulate --config fleet.json --devices 500",
  "fleet watch": "fleet watch --config fleet.json",
  "fleet pause": "fleet pause kws-1.4.0 --config fleet.json",
  "fleet resume": "fleet resume kws-1.4.0 --config fleet.json",
  "fleet cancel": "fleet cancel kws-1.4.0 --config fleet.json",
  "fleet rollback": "fleet rollback --config fleet.json --to press-17,press-18",
  "fleet remove": "fleet remove --config fleet.json --to press-17",
  "fleet approve": "fleet approve --config fleet.json --to tag:line-3",
  "fleet artifacts": "fleet artifacts --config fleet.json",
  "fleet recalibrate": "fleet recalibrate --config fleet.json --to status:degraded",
  "fleet audit": "fleet audit --config fleet.json --json",
};

/** Adds them to the help of each command below this one. */
export function addExamples(command: Command, path = ""): void {
  for (const sub of command.commands) {
    const name = `${path} ${sub.name()}`.trim();
    if (Object.hasOwn(examples, name)) sub.addHelpText("after", `\nExample:\n  polaredge ${examples[name]}`);
    addExamples(sub, name);
  }
}
