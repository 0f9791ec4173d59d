import type { Command } from "commander";
import { Failure } from "../../runtime/base/failure.ts";

/** What may follow a command, the program itself included. */
interface Place {
  /** The words that lead here: "", "fleet", "fleet deploy". */
  readonly path: string;
  readonly commands: readonly Word[];
  readonly options: readonly OptionWord[];
}

interface Word {
  readonly word: string;
  readonly says: string;
}

interface OptionWord extends Word {
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

const shells: Readonly<Record<string, (name: string, places: readonly Place[]) => string>> = { bash, zsh, fish };
export const shellNames: readonly string[] = Object.keys(shells);

/** `polaredge completion SHELL`: a script that completes commands, options and their choices. */
export function completion(shell: string, program: Command): string {
  if (!Object.hasOwn(shells, shell)) {
    throw new Failure("input/malformed", `${shell}: expected one of ${shellNames.join(", ")}`);
  }
  return shells[shell](program.name(), placesOf(program));
}

function placesOf(command: Command, path = ""): Place[] {
  const inner = command.commands.flatMap((sub) => placesOf(sub, `${path} ${sub.name()}`.trim()));
  const help = command.createHelp();
  const options = help
    .visibleOptions(command)
    .flatMap(({ long, description, required, optional, argChoices = [] }) =>
      long ? [{ word: long, says: description, takesValue: required || optional, choices: argChoices }] : [],
    );
  const commands = command.commands.map((sub) => ({ word: sub.name(), says: sub.description() }));
  return [{ path, commands, options }, ...inner];
}

const wordsOf = ({ commands, options }: Place): readonly Word[] => [...commands, ...options];

/** Each word that leads further, after where it was seen, and where it leads: ["fleet deploy", "fleet deploy"]. */
function steps(places: readonly Place[], arm: (seen: string, at: string) => string): string {
  return places
    .flatMap(({ path, commands }) => commands.map(({ word }) => arm(`${path} ${word}`, `${path} ${word}`.trim())))
    .join("\n");
}

const posixStep = (seen: string, at: string): string => `      "${seen}") at="${at}" ;;`;
const fishStep = (seen: string, at: string): string => `      case "${seen}"\n        set at "${at}"`;

function bash(name: string, places: readonly Place[]): string {
  const values = places.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ word, choices }) => `    "${path} ${word}") words="${choices.join(" ")}" ;;`),
  );
  const words = places.map(
    (place) =>
      `        "${place.path}") words="${wordsOf(place)
        .map(({ word }) => word)
        .join(" ")}" ;;`,
  );
  return `# bash completion of ${name}; ${name} completion bash > /usr/share/bash-completion/completions/${name}
_${name}() {
  local at="" word words current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
${steps(places, posixStep)}
    esac
  done
  case "$at $previous" in
${values.join("\n")}
    *)
      case "$at" in
${words.join("\n")}
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F _${name} ${name}
`;
}

function zsh(name: string, places: readonly Place[]): string {
  const quoted = (text: string): string => `'${text.replace(/'/g, "'\\''")}'`;
  const item = ({ word, says }: Word): string => quoted(`${word}:${says.replace(/:/g, "\\:")}`);
  const values = places.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ word, choices }) => `    "${path} ${word}") next=(${choices.map(quoted).join(" ")}) ;;`),
  );
  const words = places.map((place) => `        "${place.path}") next=(${wordsOf(place).map(item).join(" ")}) ;;`);
  return `#compdef ${name}
# zsh completion of ${name}; ${name} completion zsh > "\${fpath[1]}/_${name}"
_${name}() {
  local at="" word
  local -a next
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
${steps(places, posixStep)}
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${values.join("\n")}
    *)
      case "$at" in
${words.join("\n")}
      esac
      ;;
  esac
  (( $#next )) && _describe ${name} next || _files
}
if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fish(name: string, places: readonly Place[]): string {
  const quoted = (text: string): string => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
  const lines = places.flatMap(({ path, commands, options }) => {
    const when = `complete -c ${name} -n '__${name}_at "${path}"'`;
    return [
      ...commands.map(({ word, says }) => `${when} -f -a ${word} -d ${quoted(says)}`),
      ...options.map(({ word, says, takesValue, choices }) => {
        const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(" "))}` : takesValue ? " -r" : "";
        return `${when} -l ${word.slice(2)}${value} -d ${quoted(says)}`;
      }),
    ];
  });
  return `# fish completion of ${name}; ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_at
  set -l at ""
  for word in (commandline -opc)[2..]
    switch "$at $word"
${steps(places, fishStep)}
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
