import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { act } from "./stream.js";

/** @import { Row } from "../rows.ts" */
/** @import { ComponentChildren } from "preact" */

/** How a device is, in one word and one colour. @param {Pick<Row, "online" | "status">} row */
export function toneOf({ online, status }) {
  if (!online) return "away";
  return status === "ok" ? "good" : status === "degraded" ? "warn" : status === "fault" ? "bad" : "unknown";
}

/** @type {Record<string, string>} */
const words = { good: "healthy", warn: "degraded", bad: "fault", away: "away", unknown: "says nothing" };

/** @param {{ row: Pick<Row, "online" | "status"> }} props */
export function Health({ row }) {
  const tone = toneOf(row);
  return html`<span class="health ${tone}"><i class="dot"></i>${words[tone]}</span>`;
}

/** @param {{ title: string, note?: ComponentChildren, class?: string, children?: ComponentChildren }} props */
export function Panel({ title, note, class: name = "", children }) {
  return html`<section class="panel ${name}">
    <header><h2>${title}</h2>${note && html`<span class="note">${note}</span>`}</header>
    ${children}
  </section>`;
}

/** @param {{ children: ComponentChildren }} props */
export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** @param {{ pairs: [string, ComponentChildren][] }} props */
export function Facts({ pairs }) {
  return html`<dl class="facts">
    ${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** Agreement of late: a line that only draws the eye when it falls. @param {{ values: readonly number[] }} props */
export function Spark({ values }) {
  if (values.length < 2) return html`<svg class="spark" viewBox="0 0 72 20" aria-hidden="true"></svg>`;
  const low = Math.min(90, ...values);
  const x = (/** @type {number} */ i) => (1 + (70 * i) / (values.length - 1)).toFixed(1);
  const y = (/** @type {number} */ value) => (18 - (16 * (value - low)) / (100 - low || 1)).toFixed(1);
  const points = values.map((value, i) => `${x(i)},${y(value)}`).join(" ");
  return html`<svg class="spark" viewBox="0 0 72 20" aria-hidden="true">
    <polyline points=${points} />
    <circle cx=${x(values.length - 1)} cy=${y(values.at(-1) ?? 0)} r="1.8" />
  </svg>`;
}

/** A share of something. @param {{ share: number, tone?: string }} props */
export function Bar({ share, tone = "" }) {
  const width = `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
  return html`<span class="bar ${tone}"><span style=${{ width }}></span></span>`;
}

/**
 * A button that asks once more before it acts.
 * @param {{ on: "device" | "rollout", id: string, action: string, label: string, tone?: string }} props
 */
export function Action({ on, id, action, label, tone = "" }) {
  const [stage, setStage] = useState("idle");
  useEffect(() => {
    const timer = stage === "asked" ? window.setTimeout(() => setStage("idle"), 4000) : 0;
    return () => window.clearTimeout(timer);
  }, [stage]);
  const press = () => {
    if (stage === "idle") return setStage("asked");
    setStage("sent");
    void act(on, id, action).then((told) => {
      setStage("idle");
      document.dispatchEvent(new CustomEvent("told", { detail: `${label}: ${told}` }));
    });
  };
  const text = stage === "asked" ? `${label}: sure?` : label;
  return html`<button class="action ${tone} ${stage}" disabled=${stage === "sent"} onClick=${press}>${text}</button>`;
}
