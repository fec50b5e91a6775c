// What waits for a human, the most urgent first.

import { element, icon, setText } from "../viewer/elements.js";
import { counted, formatDuration, inOrder } from "../viewer/format.js";

const URGENT_MS = 60_000;

export class Approvals {
  #traceUrl;
  #title = element("h2", { id: "waiting" }, "Waiting for approval");
  #count = element("span.count", { role: "status" });
  #list = element("ul.approvals", { "aria-labelledby": "waiting" });
  #nothing = element("p.nothing", {}, "Nothing waits for a decision.");
  /** @type {Map<string, {row: HTMLElement, left: HTMLElement, waited: HTMLElement, approval: any}>} */
  #rows = new Map();
  /** How far the server's clock is ahead of this one, in milliseconds. */
  #ahead = 0;

  /** @param {(traceId: string) => string} traceUrl */
  constructor(traceUrl) {
    this.#traceUrl = traceUrl;
    this.element = element(
      "section.card.waiting",
      { hidden: true },
      element("div.card-head", {}, this.#title, this.#count),
      this.#nothing,
      this.#list,
    );
  }

  /** @param {{now: string, approvals: any[]}} answer */
  show({ now, approvals }) {
    this.#ahead = Date.parse(now) - Date.now();
    this.element.hidden = false;
    const gone = new Map(this.#rows);
    approvals.forEach((approval, index) => {
      gone.delete(approval.approval_id);
      const { row } = this.#rows.get(approval.approval_id) ?? this.#add(approval);
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
    for (const [id, { row }] of gone) {
      row.remove();
      this.#rows.delete(id);
    }
    this.#nothing.hidden = approvals.length > 0;
    this.#list.hidden = approvals.length === 0;
    this.element.classList.toggle("some", approvals.length > 0);
    setText(this.#count, approvals.length === 0 ? "" : counted(approvals.length, "approval"));
    this.tick();
  }

  /** Write the times anew. */
  tick() {
    const now = Date.now() + this.#ahead;
    for (const { left, waited, approval } of this.#rows.values()) {
      const ms = Date.parse(approval.expires_at) - now;
      setText(left, ms <= 0 ? "Time is over" : `${seconds(ms)} left`);
      left.classList.toggle("urgent", ms < URGENT_MS);
      setText(waited, `Waits for ${seconds(now - Date.parse(approval.requested_at))}`);
    }
  }

  /** @param {any} approval */
  #add(approval) {
    const { action, tool_name, trace_id, trace_name, risk_level, refusal } = approval;
    const verb = approval.can_decide ? "Decide" : "Look at";
    const [left, waited] = [element("span.left"), element("span.waited")];
    const decide = element("a.decide", { href: this.#traceUrl(trace_id) }, approval.can_decide ? "Decide" : "Look");
    decide.setAttribute("aria-label", `${verb} ${action} of ${trace_id}`);
    decide.title = refusal;
    const trace = element("span.trace", { title: trace_id }, inOrder(trace_name || trace_id));
    const facts = element("span.facts", {}, trace, waited);
    const tool = tool_name && tool_name !== action ? element("span.tool", {}, inOrder(tool_name)) : null;
    const what = element("span.what", {}, element("b.action", {}, inOrder(action)), tool);
    if (risk_level) what.append(element(`span.risk.${RISKS[risk_level] ?? "pending"}`, {}, `${risk_level} risk`));
    const row = element("li", {}, icon("approval"), element("div.asked", {}, what, facts), left, decide);
    const made = { row, left, waited, approval };
    this.#rows.set(approval.approval_id, made);
    return made;
  }
}

/** @type {Record<string, string>} */
const RISKS = { critical: "error", high: "error", medium: "warning", low: "success" };

/** @param {number} ms */
const seconds = (ms) => formatDuration(Math.max(Math.floor(ms / 1000), 0) * 1000);
