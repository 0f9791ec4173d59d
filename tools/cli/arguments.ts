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

type Parser = (text: string) => number;

export const byteCount: Parser = quantity("bytes are expected, such as 65536, 64k or 1M", {
  "": 1,
  k: 1024,
  M: 1024 ** 2,
});
export const microseconds: Parser = quantity("a time is expected, such as 2ms or 80us", { us: 1, ms: 1000 });
export const microjoules: Parser = quantity("an energy is expected, such as 20uJ or 800nJ", {
  nJ: 1e-3,
  uJ: 1,
  mJ: 1000,
});
export const operations: Parser = quantity("a count is expected, such as 80M or 1.2G", {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
});

/** A number with one of the `units`; its value is in the unit that is 1. */
function quantity(expected: string, units: Readonly<Record<string, number>>): Parser {
  return (text) => {
    const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
    if (digits === "" || !Object.hasOwn(units, unit)) throw new InvalidArgumentError(expected);
    return Number(digits) * units[unit];
  };
}

export function positive(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("at least 1 is expected");
  return value;
}
