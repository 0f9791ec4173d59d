import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { createInterface } from "node:readline/promises";
import { loadAcceleratorProfile, loadProfile } from "../../device-profiles/profiles.ts";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { parseConfig } from "../../runtime/config.ts";

export interface InitOptions {
  readonly config: string;
  readonly force?: boolean;
  readonly id?: string;
  readonly profile?: string;
  readonly broker?: string;
  readonly root?: string;
  readonly repository?: string;
  readonly accelerator?: string;
  readonly acceleratorProfile?: string;
  readonly json?: boolean;
}

/** Asks a person; undefined where nobody sits in front of it. */
export type AskPerson = ((question: string, proposal: string) => Promise<string>) | undefined;

type Key = "id" | "profile" | "broker" | "repository" | "root" | "accelerator" | "acceleratorProfile";
type Answers = Readonly<Record<Key, string>>;

interface Question {
  readonly key: Key;
  readonly text: string;
  readonly propose: () => Promise<string>;
  /** Whether it is to be asked at all, after what has been answered. */
  readonly when?: (answers: Partial<Answers>) => boolean;
}

const PORTS = "/dev/serial/by-id";
const ports = async (): Promise<string[]> => (await readdir(PORTS).catch(() => [])).map((name) => `${PORTS}/${name}`);

const questions: readonly Question[] = [
  { key: "id", text: "Name of this device in the fleet", propose: async () => hostname().replace(/[^\w-]/g, "-") },
  { key: "profile", text: "Device profile (polaredge profile list)", propose: detectProfile },
  { key: "broker", text: "MQTT broker, such as mqtts://broker.example:8883 (empty: none)", propose: async () => "" },
  {
    key: "repository",
    text: "Repository of signed releases, https://... (empty: jobs are not signed)",
    propose: async () => "",
    when: ({ broker }) => broker !== "",
  },
  {
    key: "root",
    text: "root.json of the operator",
    propose: async () => "/etc/polaredge/root.json",
    when: ({ repository }) => Boolean(repository),
  },
  {
    key: "accelerator",
    text: "Serial port of an accelerator (empty: none)",
    propose: async () => (await ports())[0] ?? "",
  },
  {
    key: "acceleratorProfile",
    text: "Accelerator profile",
    propose: async () => "sram-bitplane-64x64",
    when: ({ accelerator }) => Boolean(accelerator),
  },
];

/** The board says what it is (Linux, device tree); anything else is taken for the least of the 64 bit ones. */
async function detectProfile(): Promise<string> {
  const board = await readFile("/proc/device-tree/model", "utf8").catch(() => "");
  const [, model] = /Raspberry Pi (Zero 2 W|\d)/.exec(board) ?? [];
  if (model === "Zero 2 W") return "raspberry-pi-zero-2w";
  return model && Number(model) >= 3 ? `raspberry-pi-${model}` : "raspberry-pi-4";
}

/**
 * `polaredge init`: writes the configuration of this device, after checking that its profiles and its port exist.
 * What was not given on the command line is asked on a terminal; elsewhere the proposals are taken, but no accelerator
 * that nobody spoke of.
 * @returns what was written
 * @throws Failure config/invalid, profile/...
 */
export async function init(options: InitOptions, ask: AskPerson): Promise<string> {
  if (!options.force && (await stat(options.config).catch(() => undefined))) {
    throw new Failure("config/invalid", `${options.config} is there already; --force replaces it`);
  }
  const answers = await answered(options, ask);
  await loadProfile(answers.profile);
  if (answers.accelerator) {
    await loadAcceleratorProfile(answers.acceleratorProfile);
    await assertPort(answers.accelerator);
  }
  const json = `${JSON.stringify(configOf(answers), undefined, 2)}\n`;
  parseConfig(json, options.config);
  await writeFile(options.config, json, { mode: 0o644 }).catch((error: unknown) => {
    throw new Failure("config/invalid", `${options.config}: can't be written: ${messageOf(error)}`, {}, error);
  });
  return json;
}

async function answered(options: InitOptions, ask: AskPerson): Promise<Answers> {
  const none = { id: "", profile: "", broker: "", repository: "", root: "", accelerator: "", acceleratorProfile: "" };
  const answers: Record<Key, string> = { ...none };
  for (const { key, text, propose, when } of questions) {
    if (when && !when(answers)) continue;
    const given = options[key];
    if (given !== undefined) answers[key] = given;
    else if (ask) answers[key] = await ask(text, await propose());
    else if (key !== "accelerator") answers[key] = await propose();
  }
  return answers;
}

function configOf({ id, profile, broker, repository, root, accelerator, acceleratorProfile }: Answers): object {
  return {
    device: { id, profile },
    store: { path: "/var/lib/polaredge" },
    trust: repository ? { root, repository } : null,
    broker: broker ? { url: broker } : null,
    accelerator: accelerator ? { address: accelerator, profile: acceleratorProfile } : null,
    serve: { socket: "/run/polaredge/polaredge.sock" },
  };
}

async function assertPort(address: string): Promise<void> {
  if (await stat(address).catch(() => undefined)) return;
  const there = (await ports()).join(", ") || "no serial ports";
  throw new Failure("config/invalid", `accelerator: ${address} is not there; there are ${there}`, { address });
}

/** `polaredge init` for the command line. */
export async function initCommand(options: InitOptions): Promise<void> {
  const person = process.stdin.isTTY && process.stdout.isTTY && !options.json;
  const lines = person ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
  const ask: AskPerson =
    lines &&
    (async (question, proposal) => (await lines.question(`${question} [${proposal || "none"}] `)).trim() || proposal);
  try {
    const json = await init(options, ask);
    if (options.json) process.stdout.write(json);
    else console.log(`${options.config} is written. Next: polaredge doctor --config ${options.config}`);
  } finally {
    lines?.close();
  }
}
