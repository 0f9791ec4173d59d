import { html } from "htm/preact";
import { Component } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { counted, figure, pct } from "./format.js";
import { Empty, Health, Spark, toneOf } from "./parts.js";

/** @import { Row } from "../rows.ts" */

/** @type {Record<string, { title: string, test: (row: Row) => boolean }>} */
const groups = {
  good: { title: "healthy", test: (row) => toneOf(row) === "good" },
  warn: { title: "degraded", test: (row) => toneOf(row) === "warn" },
  bad: { title: "fault", test: (row) => toneOf(row) === "bad" },
  away: { title: "away", test: (row) => toneOf(row) === "away" },
  behind: { title: "not at their goal", test: ({ goal }) => goal !== undefined },
};
const worst = ["bad", "warn", "away", "unknown", "good"];

/** All devices: what they serve, how they are, what they should serve. @param {{ rows: ReadonlyMap<string, Row> }} props */
export function Fleet({ rows }) {
  const [group, setGroup] = useState("");
  const [text, setText] = useState("");
  const all = [...rows.values()];
  const shown = useMemo(() => chosen(all, group, text), [rows, group, text]);
  if (all.length === 0) {
    return html`<${Empty}>No device has said anything at this broker yet. One that runs
      <code>polaredge run --config polaredge.json</code> with this broker shows up here by itself.<//>`;
  }
  return html`
    <${Summary} all=${all} group=${group} setGroup=${setGroup} />
    <${Versions} all=${all} setText=${setText} />
    <${Filter} text=${text} setText=${setText} found=${shown.length} of=${all.length} />
    <div class="devices" role="table" aria-label="devices" onKeyDown=${moveFocus}>
      <div class="device head" role="row">
        ${["device", "serves", "health", "agreement", "inferences", "job"].map(
          (title) => html`<span role="columnheader">${title}</span>`,
        )}
      </div>
      ${shown.map((row) => html`<${Line} key=${row.id} row=${row} />`)}
    </div>
    ${
      shown.length === 0 &&
      html`<${Empty}>No device is like that. <button class="plain" onClick=${() => {
        setText("");
        setGroup("");
      }}>Show all</button><//>`
    }
  `;
}

/** @param {readonly Row[]} all @param {string} group @param {string} text */
function chosen(all, group, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const test = groups[group]?.test ?? (() => true);
  const found = all.filter((row) => test(row) && words.every((word) => about(row).includes(word)));
  const rank = (/** @type {Row} */ row) => worst.indexOf(toneOf(row));
  return found.sort((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id, "en", { numeric: true }));
}

/** @param {Row} row */
function about({ id, tags, profile, release, goal, reasons, unit, job }) {
  return [id, profile, release, goal, unit, job?.state, ...tags, ...reasons].join(" ").toLowerCase();
}

/** @param {{ all: readonly Row[], group: string, setGroup: (group: string) => void }} props */
function Summary({ all, group, setGroup }) {
  const online = all.filter((row) => row.online).length;
  return html`<div class="summary">
    <p class="total"><b>${counted(all.length, "device")}</b><span>${online.toLocaleString("en")} online</span></p>
    ${Object.entries(groups).map(([name, { title, test }]) => {
      const count = all.filter(test).length;
      const pressed = group === name;
      return html`<button
        class="tile ${name} ${count === 0 ? "none" : ""}"
        aria-pressed=${pressed}
        onClick=${() => setGroup(pressed ? "" : name)}
      ><b>${count.toLocaleString("en")}</b><span><i class="dot"></i>${title}</span></button>`;
    })}
  </div>`;
}

const SHADES = 5;

/** Which releases serve, as parts of one bar. @param {{ all: readonly Row[], setText: (text: string) => void }} props */
function Versions({ all, setText }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { release = "no model" } of all) counts.set(release, (counts.get(release) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => b.localeCompare(a, "en", { numeric: true }));
  const shade = (/** @type {string} */ name, /** @type {number} */ i) =>
    name === "no model" ? "shade-none" : `shade-${Math.min(i, SHADES - 1)}`;
  return html`<div class="versions">
    <div class="stack" aria-hidden="true">
      ${sorted.map(([name, count], i) => html`<span class=${shade(name, i)} style=${{ flexGrow: String(count) }}></span>`)}
    </div>
    <ul>
      ${sorted.map(
        ([name, count], i) => html`<li>
          <button class="plain" onClick=${() => setText(name === "no model" ? "" : name)}>
            <i class="square ${shade(name, i)}"></i>${name} <b>${count.toLocaleString("en")}</b>
          </button>
        </li>`,
      )}
    </ul>
  </div>`;
}

/** @param {{ text: string, setText: (text: string) => void, found: number, of: number }} props */
function Filter({ text, setText, found, of }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    const focus = () => input.current?.focus();
    document.addEventListener("filter", focus);
    return () => document.removeEventListener("filter", focus);
  }, []);
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") setText("");
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    document.querySelector(".devices a")?.dispatchEvent(new Event("take"));
    /** @type {HTMLElement | null} */ (document.querySelector(".devices a"))?.focus();
  };
  return html`<div class="filter">
    <input
      ref=${input}
      type="search"
      placeholder="Filter by name, tag, profile, release, reason"
      aria-label="Filter devices"
      value=${text}
      onInput=${(/** @type {InputEvent} */ event) => setText(/** @type {HTMLInputElement} */ (event.target).value)}
      onKeyDown=${keys}
    />
    <kbd>/</kbd>
    <span class="note" aria-live="polite">${found === of ? "" : `${found} of ${of}`}</span>
  </div>`;
}

/** Up and down go from line to line. @param {KeyboardEvent} event */
function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined || !(event.target instanceof HTMLElement)) return;
  event.preventDefault();
  const next = step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling;
  if (next instanceof HTMLAnchorElement) next.focus();
  else if (step < 0) document.dispatchEvent(new Event("filter"));
}

/** One device; drawn again only if it changed. @extends {Component<{ row: Row }>} */
class Line extends Component {
  /** @param {{ row: Row }} next */
  shouldComponentUpdate(next) {
    return next.row !== this.props.row;
  }

  render() {
    const { row } = this.props;
    const { id, release, goal, unit, reasons, agreementPct, perSecond, spark, tags } = row;
    const low = agreementPct !== undefined && agreementPct < 90 ? "low" : "";
    return html`<a class="device" role="row" href="#/devices/${encodeURIComponent(id)}">
      <span role="cell" class="name"><b>${id}</b><small>${tags.join(" ")}</small></span>
      <span role="cell" class="serves">
        <span>${release ?? "no model"}${goal && html`<em>→ ${goal}</em>`}</span><small>${release ? unit : ""}</small>
      </span>
      <span role="cell" class="state"><${Health} row=${row} /><small>${reasons.join(", ")}</small></span>
      <span role="cell" class="agreement ${low}"><${Spark} values=${spark} /><span>${pct(agreementPct)}</span></span>
      <span role="cell" class="rate">${perSecond === undefined ? "" : figure(perSecond, "/s")}</span>
      <span role="cell" class="work"><${Work} row=${row} /></span>
    </a>`;
  }
}

/** @param {{ row: Row }} props */
function Work({ row: { job } }) {
  if (!job) return "";
  const tone = job.status === "SUCCEEDED" ? "" : job.status === "IN_PROGRESS" ? "busy" : "bad";
  const { progress } = job;
  const share =
    job.status === "IN_PROGRESS" && progress ? ` ${Math.round((100 * progress.done) / (progress.of || 1))} %` : "";
  return html`<span class="job ${tone}">${job.state.toLowerCase().replaceAll("_", " ")}${share}</span>`;
}
