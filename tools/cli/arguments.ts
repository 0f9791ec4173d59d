import { InvalidArgumentError } from "commander";

/** Parsers of command-line values. @throws InvalidArgumentError, which commander explains */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("a whole number is expected");
  return value;
}

export function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("a number is expected");
  return value;
}

/** 2ms or 80us. */
export function microseconds(text: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)(us|ms)$/.exec(text) ?? [];
  if (digits === "") throw new InvalidArgumentError("a time is expected, such as 2ms or 80us");
  return Number(digits) * (unit === "ms" ? 1000 : 1);
}

export function byteCount(text: string): number {
  const [, digits = "", unit = ""] = /^(\d+)([kM]?)$/.exec(text) ?? [];
  if (digits === "") throw new InvalidArgumentError("bytes are expected, such as 65536, 64k or 1M");
  return Number(digits) * { "": 1, k: 1024, M: 1024 ** 2 }[unit as "" | "k" | "M"];
}

export function positive(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("at least 1 is expected");
  return value;
}
