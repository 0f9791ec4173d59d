import { html } from "htm/preact";
import { counted } from "./format.js";
import { Action, Bar, Empty, Panel } from "./parts.js";
import { useSubject } from "./stream.js";

/** @import { RolloutReport, RolloutRow } from "../rows.ts" */

/** @type {Record<string, string>} */
const tones = { running: "busy", paused: "warn", canceled: "away", "rolled-back": "bad", done: "good" };
/** @type {readonly [string, (keyof RolloutRow["counts"])[]][]} */
const parts = [
  ["good", ["succeeded"]],
  ["busy", ["under way"]],
  ["away", ["silent"]],
  ["bad", ["failed", "rolled back", "lost", "degraded"]],
  ["", ["waiting"]],
];

/** @param {{ rollouts: readonly RolloutRow[] }} props */
export function Rollouts({ rollouts }) {
  if (rollouts.length === 0) {
    return html`<${Empty}>Nothing was rolled out yet. Begin with
      <code>polaredge fleet deploy NAME-VERSION --config fleet.json --waves 1%,10%,100%</code><//>`;
  }
  const order = Object.keys(tones);
  const sorted = [...rollouts].sort(
    (a, b) => order.indexOf(a.status) - order.indexOf(b.status) || (a.id < b.id ? 1 : -1),
  );
  return html`<h1>Rollouts</h1>
    <div class="rollouts">
      ${sorted.map(
        (rollout) => html`<a class="panel rollout" href="#/rollouts/${encodeURIComponent(rollout.id)}">
          <h2>${rollout.release} <${Status} status=${rollout.status} /></h2>
          <${Progress} rollout=${rollout} />
          <p class="note">${rollout.counts.succeeded} of ${counted(rollout.total, "device")}${
            rollout.bad > 0 ? `, ${rollout.bad} bad` : ""
          }${rollout.reason ? html`<br />${rollout.reason}` : ""}</p>
        </a>`,
      )}
    </div>`;
}

/** @param {{ status: string }} props */
function Status({ status }) {
  return html`<span class="health ${tones[status]}"><i class="dot"></i>${status}</span>`;
}

/** @param {{ rollout: RolloutRow }} props */
function Progress({ rollout }) {
  return html`<div class="stack" aria-hidden="true">
    ${parts.map(([tone, names]) => {
      const count = names.reduce((sum, name) => sum + rollout.counts[name], 0);
      return count > 0 && html`<span class="part ${tone}" style=${{ flexGrow: String(count) }}></span>`;
    })}
  </div>`;
}

/** One rollout: how far, how well, and what would stop it. @param {{ id: string, actions: boolean }} props */
export function RolloutPage({ id, actions }) {
  const { data } = useSubject(`of=rollout&id=${encodeURIComponent(id)}`, "rollout");
  const rollout = /** @type {RolloutReport | null | undefined} */ (data);
  if (rollout === undefined) return html`<${Empty}>…<//>`;
  if (rollout === null)
    return html`<${Empty}>There is no rollout <b>${id}</b>. <a href="#/rollouts">All rollouts</a><//>`;
  return html`<div class="heading">
      <div>
        <p class="crumb"><a href="#/rollouts">Rollouts</a></p>
        <h1>${rollout.release} <${Status} status=${rollout.status} /></h1>
        <p class="lead">${rollout.reason ?? `${rollout.id}, to ${counted(rollout.total, "device")}`}</p>
      </div>
      ${actions && html`<${Controls} rollout=${rollout} />`}
    </div>
    <div class="grid">
      <${Funnel} rollout=${rollout} />
      <${Threshold} rollout=${rollout} />
      <${Waves} rollout=${rollout} />
    </div>`;
}

/** @param {{ rollout: RolloutReport }} props */
function Controls({ rollout: { id, status } }) {
  if (status !== "running" && status !== "paused") return null;
  return html`<div class="actions">
    ${status === "running" && html`<${Action} on="rollout" id=${id} action="pause" label="Pause" />`}
    ${status === "paused" && html`<${Action} on="rollout" id=${id} action="resume" label="Resume" />`}
    <${Action} on="rollout" id=${id} action="cancel" label="Cancel" />
    <${Action} on="rollout" id=${id} action="rollback" label="Roll back" tone="bad" />
  </div>`;
}

/** @param {{ rollout: RolloutReport }} props */
function Funnel({ rollout: { counts, total, ordered, bad } }) {
  /** @type {[string, number, string][]} */
  const steps = [
    ["in the rollout", total, ""],
    ["ordered", ordered, ""],
    ["answered", ordered - counts.silent, ""],
    ["finished", counts.succeeded + bad, ""],
    ["serve it", counts.succeeded, "good"],
  ];
  return html`<${Panel} title="Funnel" note=${counts["under way"] > 0 ? `${counts["under way"]} under way` : ""}>
    <ol class="funnel">
      ${steps.map(
        ([name, count, tone]) =>
          html`<li><span>${name}</span><${Bar} share=${count / (total || 1)} tone=${tone || "strong"} /><b>${count}</b></li>`,
      )}
    </ol>
  <//>`;
}

/** @param {{ rollout: RolloutReport }} props */
function Threshold({ rollout: { bad, limit, abort, ordered, counts } }) {
  const verbs = { pause: "pauses", cancel: "cancels", rollback: "rolls back" };
  const note = `${verbs[abort.action]} at ${abort.pct} % of the ordered, ${abort.min} at least`;
  return html`<${Panel} title="What would stop it" note=${note}>
    <p class="big ${bad >= limit ? "bad" : ""}"><b>${bad}</b> bad of ${ordered} ordered, the limit is <b>${limit}</b></p>
    <${Bar} share=${bad / limit} tone=${bad > 0 ? "bad" : "good"} />
    <dl class="facts">
      ${
        /** @type {const} */ (["failed", "rolled back", "lost", "degraded", "silent"]).map(
          (name) => html`<div><dt>${name}</dt><dd>${counts[name]}</dd></div>`,
        )
      }
    </dl>
  <//>`;
}

/** @type {Record<string, string>} */
const cellTones = Object.fromEntries(parts.flatMap(([tone, names]) => names.map((name) => [name, tone])));

/** Every device as a cell, in the order in which they get it. @param {{ rollout: RolloutReport }} props */
function Waves({ rollout: { waves, devices, soakSeconds, maxInFlight } }) {
  const note = `${soakSeconds} s apart, ${maxInFlight} at once`;
  return html`<${Panel} title="Waves" note=${note} class="wide">
    ${waves.map(({ pct, devices: end, ended }, i) => {
      const from = waves[i - 1]?.devices ?? 0;
      return html`<div class="wave">
        <h3>${i + 1}<small>to ${pct} %${ended ? ", ended" : ""}</small></h3>
        <div class="cells">${devices.slice(from, end).map(
          ([id, standing]) =>
            html`<a class="cell ${cellTones[standing]}" href="#/devices/${encodeURIComponent(id)}" title="${id}: ${standing}"
              aria-label="${id}: ${standing}"></a>`,
        )}</div>
      </div>`;
    })}
    <ul class="legend">${parts.map(
      ([tone, names]) => html`<li><i class="cell ${tone}"></i>${names.join(", ")}</li>`,
    )}</ul>
  <//>`;
}
