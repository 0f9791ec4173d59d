/** Per cent with one digit, or a dash for what is not known. @param {number | null | undefined} value */
export function pct(value) {
  return typeof value === "number" ? `${value.toFixed(1)} %` : "–";
}

/** A few digits that mean something. @param {number | null | undefined} value @param {string} [unit] */
export function figure(value, unit = "") {
  if (typeof value !== "number") return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const text = Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(digits);
  return unit === "" ? text : `${text} ${unit}`;
}

const steps = /** @type {const} */ ([
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
]);

/** "3 min" of seconds. @param {number} seconds */
export function span(seconds) {
  for (const [length, unit] of steps) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return "0 s";
}

/** Hours and minutes today, with the date before. @param {number} ts UTC, milliseconds */
export function when(ts) {
  const date = new Date(ts);
  const time = date.toLocaleTimeString("en-GB");
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

/** "1 device", "3 devices". @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
