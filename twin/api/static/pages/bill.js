/** The bill of a stay, line by line, as the ledger has it. */

import { html } from "../elements.js";
import { lineInWords, money } from "./words_of_stays.js";

/** @param {Object[]} lines of the ledger  @param due an answer of …/due, or null */
export function billTable(lines, due) {
  if (lines.length === 0 && due === null) return html("p", { class: "note" }, "Nothing is charged for it, and nothing was paid.");
  const { currency } = lines[0] ?? due;
  const rows = lines.map((line) => html("tr", { "data-line": line.kind },
    html("th", { scope: "row" }, lineInWords(line), line.adjusts ? html("span", { class: "note" }, ` adjusts invoice ${line.adjusts}`) : null),
    html("td", { class: "number" }, money(line.amount_minor, line.currency)),
  ));
  return html("table", { class: "bill" },
    html("caption", {}, "Bill, line by line"),
    html("tbody", {}, rows),
    html("tfoot", {}, [
      sum("Balance: charges less payments", balanceOf(lines), currency),
      due && due.status === "open" ? sum("Due if it ended then", due.due_minor, due.currency) : null,
    ]),
  );
}

/** What is still to be paid by these lines; what is for no stay is in no balance. */
export const balanceOf = (lines) => lines.filter(({ kind }) => kind !== "unassigned").reduce((all, { amount_minor: amount }) => all + amount, 0);

/** What charges and reversals leave: what the stay costs. */
export const costOf = (lines) => lines.filter(({ kind }) => kind === "charge" || kind === "reversal").reduce((all, { amount_minor: amount }) => all + amount, 0);

const sum = (name, minor, currency) => html("tr", {}, html("th", { scope: "row" }, name), html("td", { class: "number" }, money(minor, currency)));
