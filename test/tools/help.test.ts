import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { completion, shellNames } from "../../tools/cli/completion.ts";
import { exitCodes } from "../../tools/cli/exit-codes.ts";
import { program } from "../../tools/cli.ts";

const test = suite("help");

interface Leaf {
  /** "fleet deploy" */
  readonly path: string;
  readonly command: Command;
}

function leaves(command: Command, path = ""): Leaf[] {
  const inner = command.commands.flatMap((sub) => leaves(sub, `${path} ${sub.name()}`.trim()));
  return inner.length > 0 ? inner : [{ path, command }];
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

const all = leaves(program);

test("there are commands", () => assert.ok(all.length > 25));

for (const { path, command } of all) {
  test(`${path}: its help has an example that this command takes`, () => {
    const help = helpOf(command);
    const lines = help.split("\n").filter((line) => line.startsWith("  polaredge "));
    assert.ok(lines.length > 0, help);
    const known = command.createHelp().visibleOptions(command);
    for (const line of lines) {
      if (!line.startsWith(`  polaredge ${path}`)) continue;
      const [args] = line.slice(2).split(" > ");
      for (const [option] of args.matchAll(/--[a-z-]+/g)) {
        assert.ok(
          known.some(({ long }) => long === option),
          `${line}: ${option}`,
        );
      }
      for (const { long = "", mandatory } of known) if (mandatory) assert.ok(args.includes(long), `${line}: ${long}`);
    }
    assert.ok(lines.some((line) => line.startsWith(`  polaredge ${path}`)));
    for (const line of help.split("\n")) assert.ok(line.length <= 130, line);
  });
}

/** What they print is for machines anyway, or nothing but a line for people to see that it runs. */
const noJson = ["run", "completion", "fleet sign", "fleet release", "fleet artifacts"];

test("every command answers machines in JSON", () => {
  const without = all.filter(({ command }) => !command.options.some(({ long }) => long === "--json"));
  assert.equal(without.map(({ path }) => path).sort(), [...noJson].sort());
});

/** What each shell offers for a line that is not finished, asked of the shell itself. */
const asks: Readonly<Record<string, (words: readonly string[]) => string>> = {
  bash: (words) => `COMP_WORDS=(polaredge ${words.map((word) => `"${word}"`).join(" ")}); COMP_CWORD=${words.length}
    _polaredge; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (words) => `words=(polaredge ${words.map((word) => `"${word}"`).join(" ")}); CURRENT=${words.length + 1}
    _describe() { print -rl -- "\${(@P)2}" }; _polaredge`,
  fish: (words) => `complete -C "polaredge ${words.join(" ")}"`,
};
const cases: [words: string[], offers: string[]][] = [
  [["fleet", "de"], ["deploy"]],
  [
    ["profile", ""],
    ["list", "check"],
  ],
  [
    ["emulate", "--backend", ""],
    ["typescript", "qemu"],
  ],
  [["eval", "model.onnx", "--bits"], ["--bits-budget"]],
  [["fleet", "deploy", "kws-1.4.0", "--wav"], ["--waves"]],
];

for (const shell of shellNames) {
  test(`${shell} completes commands, options and choices`, () => {
    const script = completion(shell, program);
    const start = shell === "zsh" ? "autoload -Uz compinit; compinit -D -u\n" : "";
    for (const [words, offers] of cases) {
      const { error, stdout, stderr } = spawnSync(shell, ["-c", `${start}${script}\n${asks[shell](words)}`], {
        encoding: "utf8",
      });
      if (error) return void process.stdout.write(`skipped: ${shell} is not here\n`);
      const offered = stdout.split("\n").map((line) => line.split(/[\t:]/)[0]);
      for (const offer of offers) assert.ok(offered.includes(offer), `${words.join(" ")}: ${stdout} ${stderr}`);
      assert.is(stderr, "");
    }
  });
}

test("every failure has an exit code and says what to do", () => {
  const { failures } = JSON.parse(exitCodes(true)) as { failures: { code: string; exit: number; advice: string }[] };
  assert.is(failures.find(({ code }) => code === "profile/unknown")?.exit, 2);
  assert.is(failures.find(({ code }) => code === "fleet/unreachable")?.exit, 1);
  for (const { advice } of failures) assert.ok(advice.length > 10);
  assert.match(exitCodes(false), /2 {2}the command line/);
});

test.run();
