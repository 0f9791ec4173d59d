import type * as z from "zod/mini";
import { redacted } from "./log.ts";

type Issue = z.core.$ZodIssue;

/** What is wrong with a value that a schema refused: the path, what was expected there and what was found. */
export function describeIssues(what: string, value: unknown, issues: readonly Issue[]): string {
  return issues.map((issue) => `${pathOf(what, issue)}: ${expected(issue)}, found ${found(value, issue)}`).join("; ");
}

function pathOf(what: string, { path }: Issue): string {
  return path.reduce<string>((text, key) => text + (typeof key === "number" ? `[${key}]` : `.${String(key)}`), what);
}

function expected(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${issue.expected}`;
    case "invalid_value":
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "too_small":
      return `expected ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unit(issue.origin)}`;
    case "too_big":
      return `expected ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unit(issue.origin)}`;
    case "invalid_format":
      return `expected ${format(issue)}`;
    case "unrecognized_keys":
      return `expected no such key as ${issue.keys.join(", ")}`;
    case "invalid_union":
      return "expected one of the known forms";
    default:
      return issue.message;
  }
}

function format({ format, pattern }: Extract<Issue, { code: "invalid_format" }>): string {
  if (format === "url") return pattern ? `a URL with a protocol like ${pattern}` : "a URL";
  return pattern ? `text like ${pattern}` : `a valid ${format}`;
}

function unit(origin: string): string {
  return { string: " characters", array: " items" }[origin] ?? "";
}

/** Secrets are found, but not shown. */
function found(value: unknown, issue: Issue): string {
  if (issue.code === "unrecognized_keys") return "it";
  const name = String(issue.path.at(-1) ?? "");
  const at = issue.path.reduce<unknown>((inner, key) => (inner as Inner)?.[key], value);
  if (at === undefined) return "nothing";
  const text = JSON.stringify(redacted({ [name]: at })[name]) ?? typeof at;
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

type Inner = Record<PropertyKey, unknown> | undefined;
