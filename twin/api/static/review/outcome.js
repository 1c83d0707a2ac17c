/** What came of a decision: the facts that it made, and bills before and after, by the ledger. */

import { html } from "../elements.js";
import { balanceOf, costOf } from "../pages/bill.js";
import { mapUrl, stayUrl } from "../pages/evidence_cards.js";
import { lineInWords, money, refusalInWords } from "../pages/words_of_stays.js";
import { sentence } from "../panel/fact_words.js";

const WAIT_S = 9; // the most that a read waits
const N_WAITS = 3;
const NOT_YET = "urn:twin:problem:not-yet";
const PAGE = 1_000;

/**
 * Send a decision, and wait for what comes of it.
 *
 * @returns {Promise<{facts, before, after, knownBefore}>} facts of it (none: not concluded yet), lines of the ledger,
 *   and the fact position before it
 */
export async function decided(api, site, decision) {
  const { head } = await api.facts(site, { after: 0, limit: 1 });
  const before = await api.ledger(site, { known_at: head });
  const receipt = await api.decide(site, decision);
  const facts = await concluded(api, site, head, receipt.position);
  const after = facts.length > 0 ? await api.ledger(site, {}) : before;
  return { facts, before: before.lines, after: after.lines, knownBefore: head };
}

/** Facts after `head` that an observation caused, once it is folded. */
async function concluded(api, site, head, position) {
  if (position === undefined) return []; // a broker took it, and does not say where it will be
  const mine = [];
  for (let after = head; ; ) {
    const page = await folded(api, site, { after, limit: PAGE, wait_for: position, wait_s: WAIT_S });
    mine.push(...page.filter(({ causeposition }) => causeposition === position));
    if (page.length < PAGE) return mine;
    after = page.at(-1).position;
  }
}

/** Facts, once what they wait for is folded; none where it is not in all its patience. */
async function folded(api, site, parameters) {
  for (let left = N_WAITS; left > 0; left -= 1) {
    try {
      return (await api.facts(site, parameters)).facts;
    } catch (error) {
      if (error.type !== NOT_YET) throw error;
    }
  }
  return [];
}

export const refusalOf = (facts) => facts.find(({ type }) => type === "decision.refused.v1") ?? null;

/** Names as they were merged by it, if it merged any. */
export const keptBy = (facts) => facts.find(({ type }) => type === "identities.merged.v1")?.data ?? null;

/**
 * @param {Object} decision that was sent
 * @param undo its opposite, or null  @param takeBack () => void
 */
export function outcomeContents(site, decision, { facts, before, after, knownBefore }, undo, takeBack) {
  const refused = refusalOf(facts);
  const told = facts.map(sentence).filter((text) => text !== null);
  const about = sessionsOf(facts);
  const title = facts.length === 0 ? "It is stored; nothing was concluded of it yet" : refused ? "It was refused" : "It was carried out";
  return [
    html("h2", { id: "outcome-title" }, title),
    html("p", { class: "note" }, `${decision.decision.replaceAll("_", " ")} by ${decision.author}: ${decision.reason}`),
    refused ? html("p", { class: "problem" }, `Nothing was changed: ${refusalInWords(refused.data.reason)}.`) : null,
    refused || told.length === 0 ? null : html("ul", { class: "names", "data-outcome": "facts" }, told.map((text) => html("li", {}, text))),
    refused || about.length === 0 ? null : bills(site, about, before, after),
    facts.length === 0 || refused ? null : html("p", { class: "links" }, knownBeforeOf(facts).map((session) => [
      html("a", { href: stayUrl(site, session, { known_at: knownBefore }) }, `What was believed of ${session} before`), " ",
    ]), html("a", { href: mapUrl(site, momentOf(facts), decision.vehicle ?? null, { known_at: knownBefore }) }, "The map as believed before")),
    facts.length === 0 || refused ? null : undo
      ? html("button", { type: "button", class: "main-button", id: "undo", onclick: takeBack }, `Take back: ${undo.decision}`)
      : html("p", { class: "note" }, "This has no opposite: decide anew if it was wrong."),
  ].filter(Boolean);
}

/** Stays that changed. */
const sessionsOf = (facts) => [...new Set(facts.map(({ data }) => data.session).filter(Boolean))];

/** Stays that changed, and were there before. */
const knownBeforeOf = (facts) => [...new Set(facts.filter(({ data }) => data.version > 1).map(({ data }) => data.session))];

/** Its own moment: what it says is so from then on, and not in the past that the map shows of before. */
const momentOf = (facts) => facts.map(({ time }) => time).sort().at(-1);

function bills(site, sessions, before, after) {
  const of = (lines, session) => lines.filter((line) => line.session === session);
  const { currency } = after.at(-1) ?? before.at(-1) ?? {};
  const row = (session) => {
    const [was, is] = [of(before, session), of(after, session)];
    return html("tr", { "data-bill": session },
      html("th", { scope: "row" }, html("a", { href: stayUrl(site, session) }, session)),
      html("td", { class: "number", "data-name": "Before" }, money(costOf(was), currency)),
      html("td", { class: "number", "data-name": "After" }, money(costOf(is), currency)),
      html("td", { class: "number", "data-name": "Balance now" }, money(balanceOf(is), currency)),
      html("td", { "data-name": "Lines added" }, is.slice(was.length).map((line) => html("span", { class: "line", "data-line": line.kind }, `${lineInWords(line)} ${money(line.amount_minor, line.currency)}`))),
    );
  };
  return html("div", { class: "wide" }, html("table", { class: "bill" },
    html("caption", {}, "Bills before and after"),
    html("thead", {}, html("tr", {}, ["Stay", "Before", "After", "Balance now", "Lines added"].map((name, i) => html("th", { scope: "col", class: i > 0 && i < 4 ? "number" : null }, name)))),
    html("tbody", {}, sessions.map(row)),
  ));
}
