// One approval of the inbox: what is asked, how long there is, and, opened, where it is decided.

import { DecisionForm } from "../viewer/decision_form.js";
import { element, icon, setText } from "../viewer/elements.js";
import { formatDuration, inOrder, oneLine } from "../viewer/format.js";

/**
 * As the list of the REST API has it.
 *
 * @typedef {object} Open
 * @property {string} approval_id
 * @property {string} trace_id
 * @property {string} trace_name
 * @property {string} action
 * @property {string} tool_name
 * @property {string} risk_level
 * @property {string} requested_at
 * @property {string} expires_at
 * @property {boolean} can_decide
 * @property {string} refusal why not
 */

const URGENT_MS = 60_000;
/** Characters of arguments; what has more is not seen as a whole, and decided alone. */
const MOST_SHOWN = 500;
/** @type {Record<string, string>} */
const RISKS = { critical: "error", high: "error", medium: "warning", low: "success" };

export class Item {
  #left = element("span.left");
  #waited = element("span");
  #arguments = element("p.arguments-line", { hidden: true });
  #choice = element("input", { type: "checkbox" });
  /** What was shown to whom decides several at once. @type {string | null} */
  #shownHash = null;

  /**
   * @param {Open} asked
   * @param {import("./server.js").Server} server
   * @param {{decided: () => void, chosen: () => void}} told
   */
  constructor(asked, server, told) {
    this.asked = asked;
    this.server = server;
    this.told = told;
    const { trace_id, trace_name, approval_id, action, tool_name, risk_level, can_decide, refusal } = asked;
    const tool = tool_name && tool_name !== action ? element("code", {}, inOrder(tool_name)) : null;
    const trace = element("span.trace", { title: trace_id }, inOrder(trace_name || trace_id));
    const isLow = can_decide && risk_level === "low";
    this.#choice.setAttribute("aria-label", `Choose ${action} of ${trace_name || trace_id}`);
    this.#choice.addEventListener("change", () => this.#choose());
    const head = element(
      "span.asks",
      {},
      element(
        "span.what",
        {},
        element("b", {}, inOrder(action)),
        tool,
        element(`span.risk.${riskOf(risk_level)}`, {}, `${risk_level} risk`),
      ),
      element("span.facts", {}, trace, this.#waited),
      this.#arguments,
    );
    const link = element("a.to-trace", { href: server.traceUrl(trace_id) }, "Open the trace");
    const inside = element("div.inside", {});
    const details = element("details.item", {}, element("summary", {}, icon("chevron"), head, this.#left), inside);
    if (can_decide) {
      const form = new DecisionForm(
        async (said) => {
          await server.decide(trace_id, approval_id, said);
          told.decided();
        },
        () => server.read(trace_id, approval_id),
      );
      inside.append(form.element, link);
      details.addEventListener("toggle", () => details.open && form.show(approval_id));
    } else {
      inside.append(element("p.not-mine", {}, `${refusal}.`), link);
    }
    this.element = element(
      "li",
      {},
      isLow ? element("label.choose", {}, this.#choice) : element("span.choose"),
      details,
    );
  }

  get isChosen() {
    return this.#choice.checked && this.#shownHash !== null;
  }

  /** @param {number} now by the server's clock */
  tick(now) {
    const ms = Date.parse(this.asked.expires_at) - now;
    setText(this.#left, ms <= 0 ? "Time is over" : `${whole(ms)} left`);
    this.#left.classList.toggle("urgent", ms < URGENT_MS);
    setText(this.#waited, `waits for ${whole(now - Date.parse(this.asked.requested_at))}`);
  }

  /** Decides it with others. @param {"approved" | "rejected"} decision */
  async decide(decision) {
    const { trace_id, approval_id } = this.asked;
    await this.server.decide(trace_id, approval_id, { decision, arguments_hash: this.#shownHash });
  }

  /** Who decides several at once sees what each of them does. */
  async #choose() {
    this.#shownHash = null;
    this.#arguments.hidden = !this.#choice.checked;
    if (this.#choice.checked) {
      const { trace_id, approval_id } = this.asked;
      try {
        const asked = await this.server.read(trace_id, approval_id);
        const shown = oneLine(asked.arguments, Infinity);
        const isWhole = shown.length <= MOST_SHOWN;
        setText(this.#arguments, isWhole ? shown : "Its arguments are too long to be decided with others: open it.");
        if (isWhole) this.#shownHash = asked.arguments_hash;
        else this.#choice.checked = false;
      } catch (error) {
        this.#choice.checked = false;
        setText(this.#arguments, `What is asked cannot be read: ${/** @type {Error} */ (error).message}`);
      }
    }
    this.told.chosen();
  }
}

/** @param {string} level */
const riskOf = (level) => RISKS[level] ?? "pending";

/** @param {number} ms */
const whole = (ms) => formatDuration(Math.max(Math.floor(ms / 1000), 0) * 1000);
