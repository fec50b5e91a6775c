// An approval: who is asked for what, how long it has waited, and what was decided.

import { canBeDecided } from "./decision_form.js";
import { element, icon, setIcon, setText } from "./elements.js";
import { formatDuration, formatElapsed, oneLine } from "./format.js";
import { outcome } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */

const APART = new Set([
  "approval_id",
  "action",
  "tool",
  "tool_name",
  "risk_level",
  "expires_at",
  "allowed",
  "arguments_hash",
]);
const RISKS = new Set(["low", "medium", "high", "critical"]);

export class ApprovalCard {
  #title = element("span.card-title");
  #risk = element("span.risk");
  #text = element("span.card-text");
  #statusIcon = icon("pending");
  #statusText = element("span");
  #wait = element("span.card-wait");
  #call = element("span.card-call", { hidden: true }, "Decide");

  element = element(
    "span.card",
    { role: "gridcell" },
    element("span.card-sign", {}, icon("approval")),
    element("span.card-body", {}, element("span.card-head", {}, this.#title, this.#risk), this.#text),
    element("span.card-state", {}, element("span.status", {}, this.#statusIcon, this.#statusText), this.#wait),
    this.#call,
  );

  /**
   * @param {Row | null} row
   * @param {boolean} hasEnded whether the trace has
   * @param {boolean} [canDecide] whether the row's details are where to decide
   */
  show(row, hasEnded, canDecide = false) {
    this.element.hidden = row === null;
    if (row === null) return;
    const { details } = row;
    this.#call.hidden = !canDecide || hasEnded || !canBeDecided(row);
    const { status, text } = outcome(row, hasEnded);
    const what = details.action ?? details.tool_name ?? details.tool;
    setText(this.#title, what === undefined ? "Approval" : oneLine(what, 80));
    const risk = typeof details.risk_level === "string" ? details.risk_level.toLowerCase() : "";
    setText(this.#risk, risk && `${risk.slice(0, 20)} risk`);
    this.#risk.className = `risk ${RISKS.has(risk) ? risk : ""}`;
    this.#risk.hidden = risk === "";
    setText(this.#statusText, text);
    setIcon(this.#statusIcon, status);
    setText(this.#text, this.#saying(row));
  }

  /**
   * @param {Row} row
   * @param {number} now in the server's time
   * @param {boolean} hasEnded
   */
  tick(row, now, hasEnded) {
    if (row.end !== null) {
      const wait = row.duration;
      return setText(this.#wait, wait === null ? "" : `after ${formatDuration(wait)}`);
    }
    if (hasEnded) return setText(this.#wait, "");
    const expiry = row.first.details.expires_at;
    const left = typeof expiry === "string" ? Date.parse(expiry) - now : NaN;
    const waited = formatElapsed(now - row.start);
    setText(this.#wait, left > 0 ? `${waited}, ${formatDuration(Math.ceil(left / 1000) * 1000)} left` : waited);
  }

  /** @param {Row} row */
  #saying(row) {
    const { reason, comment, decided_by: by } = row.last.details;
    const said = [by && `by ${oneLine(by, 60)}`, oneLine(comment ?? reason ?? "")].filter(Boolean).join(": ");
    if (said && !row.isOpen) return said;
    const { arguments: given, args } = row.details;
    const asked = given ?? args;
    if (asked !== undefined) return oneLine(asked);
    const rest = Object.entries(row.first.details).filter(([key]) => !APART.has(key));
    return rest.map(([key, value]) => `${key} ${oneLine(value, 60)}`).join(" · ") || "The agent waits for an answer.";
  }
}
