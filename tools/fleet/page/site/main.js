import { html } from "htm/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { AuditPage } from "./audit.js";
import { DevicePage } from "./device.js";
import { Fleet } from "./fleet.js";
import { when } from "./format.js";
import { RolloutPage, Rollouts } from "./rollouts.js";
import { listen } from "./stream.js";

/** @import { FleetNews } from "../feed.ts" */
/** @import { RolloutRow, Row } from "../rows.ts" */
/** @typedef {{ broker: FleetNews["broker"] | undefined, actions: boolean, rows: ReadonlyMap<string, Row>, rollouts: readonly RolloutRow[], live: boolean, heard: number }} State */

/** @type {State} */
const nothing = { broker: undefined, actions: false, rows: new Map(), rollouts: [], live: true, heard: 0 };

function App() {
  const [state, setState] = useState(nothing);
  const path = usePath();
  useEffect(
    () =>
      listen("of=fleet", {
        snapshot: (data) => setState((before) => told({ ...before, rows: new Map() }, data)),
        changes: (data) => setState((before) => told(before, data)),
        error: () => setState((before) => ({ ...before, live: false })),
      }),
    [],
  );
  useEffect(keyboard, []);
  return html`
    <${Header} path=${path} broker=${state.broker} live=${state.live} />
    <main>
      <${Banner} state=${state} />
      ${state.broker ? html`<${View} path=${path} state=${state} />` : html`<p class="empty">…</p>`}
    </main>
    <footer>
      <span><kbd>1</kbd> <kbd>2</kbd> <kbd>3</kbd> views</span><span><kbd>/</kbd> filter</span><span><kbd>↑</kbd> <kbd>↓</kbd> lines</span>
      <span class="end">${state.actions ? "may act" : "read-only"}</span>
    </footer>
    <${Toast} />
  `;
}

/** @param {State} before @param {unknown} data @returns {State} */
function told(before, data) {
  const { broker, actions, devices, rollouts } = /** @type {FleetNews} */ (data);
  const rows = new Map(before.rows);
  for (const row of devices) rows.set(row.id, row);
  return { broker, actions, rows, rollouts, live: true, heard: Date.now() };
}

/** @param {{ path: readonly string[], state: State }} props */
function View({ path: [view, id], state }) {
  if (view === "devices" && id) return html`<${DevicePage} key=${id} id=${id} actions=${state.actions} />`;
  if (view === "rollouts" && id) return html`<${RolloutPage} key=${id} id=${id} actions=${state.actions} />`;
  if (view === "rollouts") return html`<${Rollouts} rollouts=${state.rollouts} />`;
  if (view === "audit") return html`<${AuditPage} />`;
  return html`<${Fleet} rows=${state.rows} />`;
}

const views = /** @type {const} */ ([
  ["", "Fleet", "devices"],
  ["rollouts", "Rollouts", "rollouts"],
  ["audit", "Audit", "audit"],
]);

/** @param {{ path: readonly string[], broker: State["broker"], live: boolean }} props */
function Header({ path: [view = ""], broker, live }) {
  const tone = !live ? "bad" : broker?.connected ? "good" : "bad";
  return html`<header class="top">
    <a class="brand" href="#/"><img src="/site/icon.svg" alt="" width="24" height="24" /><b>polaredge</b></a>
    <nav>${views.map(
      ([name, title, also]) =>
        html`<a href="#/${name}" aria-current=${view === name || view === also ? "page" : undefined}>${title}</a>`,
    )}</nav>
    <span class="health ${tone} broker" title="the broker"><i class="dot"></i><span>${broker?.url ?? "…"}</span></span>
  </header>`;
}

/** Says so when what is seen is old. @param {{ state: State }} props */
function Banner({ state: { live, heard, broker } }) {
  if (!live) {
    return html`<p class="banner bad" role="alert"><b>The page's server does not answer.</b>
      ${heard > 0 ? ` What you see is from ${when(heard)}.` : ""} It is asked again every few seconds.</p>`;
  }
  if (!broker || broker.connected) return null;
  return html`<p class="banner warn" role="alert"><b>The broker is away</b> since ${when(broker.since)} (${broker.why}).
    ${heard > 0 ? " What you see is what devices said before." : ""} It is sought every second.</p>`;
}

/** What came of an action. */
function Toast() {
  const [text, setText] = useState("");
  useEffect(() => {
    const show = (/** @type {Event} */ event) => setText(/** @type {CustomEvent<string>} */ (event).detail);
    document.addEventListener("told", show);
    return () => document.removeEventListener("told", show);
  }, []);
  useEffect(() => {
    const timer = text === "" ? 0 : window.setTimeout(() => setText(""), 6000);
    return () => window.clearTimeout(timer);
  }, [text]);
  return html`<p class="toast ${text === "" ? "" : "shown"}" role="status">${text}</p>`;
}

function usePath() {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [path, setPath] = useState(read);
  useEffect(() => {
    const change = () => {
      setPath(read());
      window.scrollTo(0, 0);
    };
    window.addEventListener("hashchange", change);
    return () => window.removeEventListener("hashchange", change);
  }, []);
  return path;
}

/** Keys that work everywhere but in fields. */
function keyboard() {
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.target instanceof HTMLInputElement || event.metaKey || event.ctrlKey || event.altKey) return;
    const view = views[Number(event.key) - 1];
    if (view) location.hash = `#/${view[0]}`;
    if (event.key !== "/") return;
    event.preventDefault();
    document.dispatchEvent(new Event("filter"));
  };
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}

const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
