import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { when } from "./format.js";
import { Empty, Panel } from "./parts.js";

/** @import { AuditEntry } from "../../audit.ts" */
/** @typedef {{ entries: readonly AuditEntry[], fault?: string }} Log */

const AGAIN_MS = 5000;

/** What operators did; each line holds the hash of the one before. */
export function AuditPage() {
  const [log, setLog] = useState(/** @type {Log | undefined} */ (undefined));
  useEffect(() => {
    const load = () =>
      fetch("/audit")
        .then((response) => response.json())
        .then(setLog)
        .catch(() => undefined);
    void load();
    const timer = window.setInterval(load, AGAIN_MS);
    return () => window.clearInterval(timer);
  }, []);
  if (!log) return html`<${Empty}>…<//>`;
  const { entries, fault } = log;
  return html`<h1>Audit</h1>
    ${fault && html`<p class="banner bad" role="alert"><b>The log was changed.</b> ${fault}</p>`}
    <${Panel} title="What operators did" note=${fault ? "" : `${entries.length} entries, the chain of hashes is whole`}>
      ${entries.length === 0 && !fault ? html`<${Empty}>Nobody has ordered anything from this operator's folder.<//>` : html`<${Entries} entries=${entries} />`}
    <//>`;
}

/** @param {{ entries: readonly AuditEntry[] }} props */
function Entries({ entries }) {
  return html`<div class="scroll"><table class="audit">
    <thead><tr><th class="n">n</th><th>when</th><th class="wide-only">who</th><th>what</th><th>on</th><th class="wide-only">hash</th></tr></thead>
    <tbody>${entries.map(
      ({ n, ts, by, action, detail, hash }) => html`<tr>
        <td class="n">${n}</td><td><time>${when(ts)}</time></td><td class="wide-only">${by}</td><td>${action}</td>
        <td class="on">${aboutOf(detail)}</td><td class="wide-only"><code>${hash.slice(0, 8)}</code></td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {AuditEntry["detail"]} detail */
function aboutOf({ id, devices, reason }) {
  const whom = Array.isArray(devices)
    ? devices.slice(0, 4).join(", ") + (devices.length > 4 ? ` and ${devices.length - 4} more` : "")
    : undefined;
  return [id ?? whom, reason].filter(Boolean).join(": ");
}
