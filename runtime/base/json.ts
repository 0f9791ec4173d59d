import { Failure, type FailureCode } from "./failure.ts";

/**
 * JSON.parse for files that people write: the failure names line and column. (Node's own message has a position in
 * some cases and versions only.)
 * @throws Failure with this code
 */
export function parseJson(text: string, where: string, code: FailureCode): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const { at, expected } = syntaxError(text);
    const before = text.slice(0, at).split("\n");
    const position = { line: before.length, column: (before.at(-1) ?? "").length + 1 };
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 12).split("\n")[0] || "\n") : "the end";
    const place = `${where}, line ${position.line}, column ${position.column}`;
    throw new Failure(code, `${place}: not JSON: expected ${expected}, found ${found}`, { where, ...position }, cause);
  }
}

type State = "value" | "item" | "key" | "first key" | "colon" | "array" | "object" | "end";
type Token = "{" | "[" | "}" | "]" | ":" | "," | "text" | "scalar";

const value: readonly Token[] = ["{", "[", "text", "scalar"];
/** What may come next (RFC 8259), and how to say so. */
const grammar: Readonly<Record<State, { readonly accepts: readonly Token[]; readonly expected: string }>> = {
  value: { accepts: value, expected: "a value" },
  item: { accepts: [...value, "]"], expected: "a value or ]" },
  "first key": { accepts: ["text", "}"], expected: 'a key in "quotes" or }' },
  key: { accepts: ["text"], expected: 'a key in "quotes"' },
  colon: { accepts: [":"], expected: "a colon" },
  array: { accepts: [",", "]"], expected: "a comma or ]" },
  object: { accepts: [",", "}"], expected: "a comma or }" },
  end: { accepts: [], expected: "the end" },
};

/** The first place where the text stops being JSON. */
function syntaxError(text: string): { at: number; expected: string } {
  const inside: State[] = ["end"];
  let state: State = "value";
  for (let at = skipSpace(text, 0); ; at = skipSpace(text, at)) {
    const [token, length] = tokenAt(text, at);
    const { accepts, expected } = grammar[state];
    if (token === undefined || !accepts.includes(token)) return { at, expected };
    state = next(state, token, inside);
    at += length;
  }
}

function next(state: State, token: Token, inside: State[]): State {
  if (state === "key" || state === "first key") return token === "}" ? close(inside) : "colon";
  switch (token) {
    case "{":
      inside.push("object");
      return "first key";
    case "[":
      inside.push("array");
      return "item";
    case ":":
      return "value";
    case ",":
      return state === "array" ? "value" : "key";
    case "}":
    case "]":
      return close(inside);
    default:
      return inside.at(-1) ?? "end";
  }
}

function close(inside: State[]): State {
  inside.pop();
  return inside.at(-1) ?? "end";
}

function skipSpace(text: string, at: number): number {
  while (" \t\r\n".includes(text[at] ?? "x")) at++;
  return at;
}

function tokenAt(text: string, at: number): [token: Token | undefined, length: number] {
  const mark = text[at] ?? "";
  if (mark !== "" && "{[}]:,".includes(mark)) return [mark as Token, 1];
  const quoted = textLength(text, at);
  if (quoted > 0) return ["text", quoted];
  const scalar = matchAt(SCALAR, text, at);
  return [scalar > 0 ? "scalar" : undefined, scalar];
}

/** With its quotes; 0 if it is broken. No pattern for all of it: long texts overflow the stack of the matcher. */
function textLength(text: string, at: number): number {
  if (text[at] !== '"') return 0;
  for (let i = at + 1; i < text.length && text[i] >= " "; i++) {
    if (text[i] === '"') return i + 1 - at;
    if (text[i] !== "\\") continue;
    const length = matchAt(ESCAPE, text, i);
    if (length === 0) return 0;
    i += length - 1;
  }
  return 0;
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;

function matchAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}
