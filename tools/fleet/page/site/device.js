import { html } from "htm/preact";
import { DriftCurve } from "./drift.js";
import { counted, figure, pct, span, when } from "./format.js";
import { Layers, Tiles } from "./layers.js";
import { Action, Bar, Empty, Facts, Health, Panel } from "./parts.js";
import { useSubject } from "./stream.js";

/** @import { DeviceReport } from "../rows.ts" */

/** All about one device. @param {{ id: string, actions: boolean }} props */
export function DevicePage({ id, actions }) {
  const { data } = useSubject(`of=device&id=${encodeURIComponent(id)}`, "device");
  const report = /** @type {DeviceReport | null | undefined} */ (data);
  if (report === undefined) return html`<${Empty}>…<//>`;
  if (report === null)
    return html`<${Empty}>There is no device <b>${id}</b> at this broker. <a href="#/">All devices</a><//>`;
  return html`
    <${Heading} report=${report} actions=${actions} />
    <div class="grid">
      <${Agreement} report=${report} />
      <div class="column">
        <${Job} report=${report} />
        <${Decisions} report=${report} />
        <${Calibrations} report=${report} />
        <${Link} report=${report} />
        <${Host} report=${report} />
      </div>
      <div class="column">
        <${Layers} report=${report} />
        <${Tiles} report=${report} />
      </div>
    </div>
  `;
}

/** @param {{ report: DeviceReport, actions: boolean }} props */
function Heading({ report: { row, previous, info, health }, actions }) {
  const serves = row.release
    ? `${row.release} serves${row.unit === "accelerator" ? " on the accelerator" : ", computed digitally"}`
    : "no model serves";
  return html`<div class="heading">
    <div>
      <p class="crumb"><a href="#/">Fleet</a></p>
      <h1>${row.id} <${Health} row=${row} /></h1>
      <p class="lead">${serves}${row.goal && html`, <em>goal ${row.goal}</em>`}${
        row.reasons.length > 0 &&
        html`<span class="reasons">${row.reasons.map((reason) => html`<span>${reason}</span>`)}</span>`
      }</p>
    </div>
    ${
      actions &&
      html`<div class="actions">
        ${row.job?.state === "WAITING" && html`<${Action} on="device" id=${row.id} action="approve" label="Approve" />`}
        <${Action} on="device" id=${row.id} action="recalibrate" label="Recalibrate" />
        ${previous && html`<${Action} on="device" id=${row.id} action="rollback" label="Back to ${previous}" tone="bad" />`}
      </div>`
    }
    <${Facts} pairs=${[
      ["profile", info?.profile ?? "–"],
      ["accelerator", info?.accelerator ?? "none"],
      ["tags", row.tags.join(" ") || "–"],
      ["before", previous ?? "–"],
      ["runtime", info ? `${info.runtime}, Node ${info.node.replace(/^v/, "")}` : "–"],
      ["up", health ? span(health.up) : "–"],
      ["heard", health ? when(health.ts) : "–"],
    ]} />
  </div>`;
}

/** @param {{ report: DeviceReport }} props */
function Agreement({ report }) {
  const { health, readings, thresholds, calibrations } = report;
  const limit = thresholds ? `recalibrates below ${thresholds.recalibrateBelowPct} %, ` : "";
  return html`<${Panel} class="wide" title="Agreement with the float model" note=${`${limit}dots mark ${counted(calibrations.length, "calibration")}`}>
    ${readings.length < 2 ? html`<${Empty}>The curve begins with the second reading of the probes.<//>` : html`<${DriftCurve} report=${report} />`}
    <${Facts} pairs=${[
      ["now", pct(health?.agreement_pct)],
      ["residual", share(health?.drift_residual)],
      ["noise floor", share(health?.noise_floor)],
      ["calibrated", typeof health?.recal_age_s === "number" ? `${span(health.recal_age_s)} ago` : "–"],
      ["p50", figure(health?.p50_ms, "ms")],
      ["p95", figure(health?.p95_ms, "ms")],
      ["inferences", figure(health?.inf_total)],
      ["failed", figure(health?.inf_errors)],
    ]} />
  <//>`;
}

/** @param {number | null | undefined} value */
function share(value) {
  return typeof value === "number" ? pct(100 * value) : "–";
}

const stages = [
  "ACCEPTED",
  "DOWNLOADING",
  "VERIFIED",
  "WAITING",
  "PREPARING",
  "SELFTEST",
  "STAGED",
  "TRIAL",
  "COMMITTED",
];

/** The way of the newest job. @param {{ report: DeviceReport }} props */
function Job({ report: { row } }) {
  const { job } = row;
  if (!job) return html`<${Panel} title="Job"><${Empty}>The fleet has not ordered anything yet.<//><//>`;
  const failed = !["SUCCEEDED", "IN_PROGRESS"].includes(job.status);
  const at = stages.indexOf(failed ? stepOf(job.step) : job.state);
  const ended = job.state.toLowerCase().replaceAll("_", " ");
  return html`<${Panel} title="Job" note=${`${job.action ?? ""} ${job.id}`}>
    <ol class="timeline">
      ${stages.map((stage, i) => {
        const tone = failed && i === at ? "bad" : i < at || job.state === "COMMITTED" ? "good" : i === at ? "busy" : "";
        const { progress } = job;
        return html`<li class=${tone}>
          <i></i><span>${stage.toLowerCase()}</span>
          ${i === at && progress && html`<small>${progress.stage}</small><${Bar} share=${progress.done / (progress.of || 1)} />`}
        </li>`;
      })}
    </ol>
    ${failed && html`<p class="why bad"><b>${ended}</b> ${job.why ?? ""}</p>`}
    ${!failed && job.why && html`<p class="why">${job.why}</p>`}
  <//>`;
}

/** A trial ends where it is rolled back. @param {string | undefined} step */
function stepOf(step) {
  return step === "ROLLING_BACK" ? "TRIAL" : (step ?? "ACCEPTED");
}

/** What the device decided by itself, and why. @param {{ report: DeviceReport }} props */
function Decisions({ report: { events } }) {
  return html`<${Panel} title="What it did, and why" class="tall">
    ${events.length === 0 && html`<${Empty}>Nothing worth telling yet.<//>`}
    <ol class="events">
      ${events.slice(0, 40).map(
        ({ ts, level, code, msg }) => html`<li class=${level}>
          <time>${when(ts)}</time><div><p>${msg.replace(/ \(upkeep-[0-9a-f-]{36}\)/, "")}</p><code>${code}</code></div>
        </li>`,
      )}
    </ol>
  <//>`;
}

/** @param {{ report: DeviceReport }} props */
function Calibrations({ report: { calibrations } }) {
  return html`<${Panel} title="Calibrations" note="newest first" class="tall">
    ${
      calibrations.length === 0
        ? html`<${Empty}>None yet.<//>`
        : html`<div class="scroll"><table>
            <thead><tr><th>when</th><th>what</th><th class="wide-only">on</th><th class="n">before</th><th class="n">after</th></tr></thead>
            <tbody>${calibrations.toReversed().map(
              ({ ts, action, version, unit, beforePct, afterPct }) => html`<tr>
                <td><time>${when(ts)}</time></td><td>${action} <small class="wide-only">${version}</small></td><td class="wide-only">${unit}</td>
                <td class="n">${pct(beforePct)}</td><td class="n">${pct(afterPct)}</td>
              </tr>`,
            )}</tbody>
          </table></div>`
    }
  <//>`;
}

/** @param {{ report: DeviceReport }} props */
function Link({ report: { info, health } }) {
  if (!info?.accelerator) return null;
  const note = health?.link_ok === true ? "connected" : health?.link_ok === false ? "lost" : "not asked yet";
  return html`<${Panel} title="Link to the accelerator" note=${note}>
    <${Facts} pairs=${[
      ["round trip", figure(health?.link_rtt_ms, "ms")],
      ["repeated", figure(health?.link_retransmits)],
      ["damaged frames", figure(health?.link_bad_frames)],
      ["restarts", figure(health?.link_resets)],
      ["losses", figure(health?.link_losses)],
    ]} />
  <//>`;
}

/** @param {{ report: DeviceReport }} props */
function Host({ report: { health } }) {
  return html`<${Panel} title="Host">
    <${Facts} pairs=${[
      ["memory", figure(health?.rss_mb, "MB")],
      ["processor", figure(health?.cpu_pct, "%")],
      ["temperature", figure(health?.temp_c, "°C")],
      ["disk free", figure(health?.disk_free_mb, "MB")],
    ]} />
  <//>`;
}
