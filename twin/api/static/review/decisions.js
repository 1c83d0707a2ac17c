/** What a person can decide about a case, as forms: each sends one decision with a reason that is written already. */

import { html } from "../elements.js";
import { duration, localTime } from "../format.js";
import { timeGiven } from "../pages/moment_form.js";

/** Decisions that take another back; the others are final, or are decided anew. */
export function opposite(decision, { kept, exitAt }) {
  const { decision: what, session, vehicle, other } = decision;
  const back = { reason: `Taken back: ${decision.reason}`.slice(0, 1_000) };
  if (what === "merge") return { ...back, decision: "split", vehicle: kept?.vehicle ?? vehicle, other: kept?.merged ?? other };
  if (what === "split") return { ...back, decision: "merge", vehicle, other };
  if (what === "close") return { ...back, decision: "reopen", session };
  if (what === "reopen" && exitAt) return { ...back, decision: "close", session, exit_at: exitAt };
  return null;
}

/** The forms of a case, in the order in which they are likely to be wanted. @param send (decision) => void */
export function decisionForms(told, send) {
  const { session, names, candidates } = told;
  const { status, vehicle, session: id, exit_at: exitAt } = session;
  const isStay = status === "open" || status === "closed";
  return [
    ...names.map(({ vehicle: kept, merged }) => form(send, `Split off ${merged}`, `Looked at: ${merged} is another vehicle than ${kept}`, { decision: "split", vehicle: kept, other: merged })),
    ...candidates.map(({ vehicle: other, stay_s: stay }) => form(send, `Merge with ${other}`, `Looked at: ${other} is ${vehicle}, which stayed ${duration(stay)}`, { decision: "merge", vehicle: other, other: vehicle })),
    mergeForm(send, vehicle),
    status === "open" ? closeForm(send, id) : null,
    status === "closed" ? form(send, "Reopen", "Looked at: this exit was none", { decision: "reopen", session: id }, { exitAt }) : null,
    isStay ? plateForm(send, id) : null,
    isStay && !session.is_waived ? form(send, "Waive", "Looked at: it costs nothing, as its times are in doubt", { decision: "waive", session: id }) : null,
  ].filter(Boolean);
}

function closeForm(send, session) {
  const field = html("input", { type: "datetime-local", step: "1", name: "exit_at", value: localTime(new Date().toISOString()) });
  return form(send, "Close", "Looked at: it has left", { decision: "close", session }, {
    extra: html("label", { class: "field" }, "It left at ", field), more: () => ({ exit_at: timeGiven(field) }), name: "close",
  });
}

function plateForm(send, session) {
  const field = html("input", { type: "text", name: "plate", maxlength: "20", required: "", spellcheck: "false", autocapitalize: "characters" });
  return form(send, "Set plate", "Read in the picture", { decision: "set_plate", session }, {
    extra: html("label", { class: "field" }, "Number plate ", field), more: () => ({ plate: field.value.trim() }),
  });
}

function mergeForm(send, vehicle) {
  const field = html("input", { type: "text", name: "other", required: "", spellcheck: "false", maxlength: "100" });
  return form(send, "Merge", "Looked at: they are one vehicle", { decision: "merge", vehicle }, {
    extra: html("label", { class: "field" }, "Is also vehicle ", field), more: () => ({ other: field.value.trim() }),
  });
}

/** One decision: what it needs beside its reason, the reason, and the button that sends it. */
function form(send, name, reason, decision, { extra = null, more = () => ({}), exitAt = null } = {}) {
  const field = html("input", { type: "text", name: "reason", value: reason, required: "", maxlength: "1000" });
  const submit = (event) => {
    event.preventDefault();
    send({ ...decision, ...more(), reason: field.value.trim() }, { exitAt });
  };
  return html("form", { class: "decision", "data-decision": decision.decision, onsubmit: submit, autocomplete: "off" },
    extra,
    html("label", { class: "field reason" }, "Reason ", field),
    html("button", { type: "submit", class: "main-button" }, name),
  );
}
