import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { documents, type Line, missing, readScript, type Script } from "../support/documents.ts";

/**
 * Every command of every document, tried in the order in which it is written: one shell in an empty folder for each
 * document, with the built product installed as `polaredge`. What a document says that a command prints has to come.
 */
const chosen = process.argv.slice(2);
const COMMAND_MS = 120_000;
const BACKGROUND_MS = 30_000;
const began = performance.now();
const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`;

class Shell {
  readonly #process: ChildProcess;
  #output = "";

  constructor(folder: string) {
    const path = [join(folder, "node_modules/.bin"), process.env.PATH, "/usr/sbin"].join(delimiter);
    this.#process = spawn("bash", ["--norc"], {
      cwd: folder,
      detached: true,
      env: { ...process.env, PATH: path, NO_COLOR: "1", HOME: folder },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (data) => {
        this.#output += data;
      });
    }
  }

  /** Why it is not as the document says; undefined if it is. */
  async try({ command, expected }: Line): Promise<string | undefined> {
    this.#output = "";
    const background = command.endsWith("&");
    this.#process.stdin?.write(`${command}\n${background ? "" : "printf '\\nended: %s\\n' $?\n"}`);
    const patience = background ? BACKGROUND_MS : COMMAND_MS;
    for (const end = performance.now() + patience; performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const [, status] = /^ended: (\d+)$/m.exec(this.#output) ?? [];
      const lacks = missing(expected, this.#output);
      if (background && lacks === undefined) return undefined;
      if (status === undefined) continue;
      if (status !== "0" && !command.includes("||")) return `exit code ${status}\n${this.#output}`;
      return lacks === undefined ? undefined : `no line like: ${lacks}\n${this.#output}`;
    }
    return `not done after ${patience / 1000} s\n${this.#output}`;
  }

  /** With all that it began. */
  end(): void {
    if (this.#process.pid !== undefined) process.kill(-this.#process.pid, "SIGKILL");
  }
}

async function install(folder: string): Promise<void> {
  const bin = join(folder, "node_modules/.bin");
  await mkdir(bin, { recursive: true });
  await writeFile(join(folder, "package.json"), "{}");
  await symlink(resolve("."), join(folder, "node_modules/polaredge"));
  const command = `#!/bin/sh\nexec '${process.execPath}' '${resolve("dist/tools/cli.js")}' "$@"\n`;
  await writeFile(join(bin, "polaredge"), command, { mode: 0o755 });
}

/** How many of its commands did what it says. */
async function tryDocument({ path, files, lines }: Script): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "polaredge-docs-"));
  await install(folder);
  for (const [name, text] of files) await writeFile(join(folder, name), text);
  const shell = new Shell(folder);
  let done = 0;
  try {
    for (const line of lines) {
      const fault = await shell.try(line);
      if (fault !== undefined) {
        console.log(`FAILED ${path}: ${line.command}\n${fault}`);
        break;
      }
      done++;
    }
  } finally {
    shell.end();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  return done;
}

let [tried, held, elsewhere] = [0, 0, 0];
for (const path of chosen.length > 0 ? chosen : documents()) {
  const script = readScript(path);
  elsewhere += script.elsewhere;
  if (script.lines.length === 0) continue;
  const done = await tryDocument(script);
  tried += script.lines.length;
  held += done;
  console.log(`${seconds()}  ${path}: ${done} of ${script.lines.length} commands do what it says`);
}
console.log(
  `docs: ${held} of ${tried} commands do what the documents say, ${elsewhere} are for a board or a checkout; ` +
    `${held === tried ? "all held" : "FAILED"}`,
);
process.exit(held === tried ? 0 : 1);
