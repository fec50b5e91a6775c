// One trace in the list.

import { element, icon, setIcon, setText } from "../viewer/elements.js";
import { formatCount, formatDuration, formatElapsed, formatName, formatNumber, oneLine } from "../viewer/format.js";

/** @typedef {import("./traces.js").Trace} Trace */

/** Of what a trace is about, where it has no name. */
const GOALS = ["goal", "task", "question", "title"];
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const UNITS = /** @type {const} */ ([
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
]);
const RELATIVE = new Intl.RelativeTimeFormat("en", { style: "narrow" });

export class Row {
  #link = element("a.name");
  #id = element("span.id");
  #tags = element("span.tags");
  #conversation = element("button.conversation", { type: "button", title: "Show all of its conversation" });
  #waiting = element("a.waits", {}, icon("approval"), "Waits for you");
  #stateIcon = icon("pending");
  #stateText = element("span");
  #state = element("span.state", {}, this.#stateIcon, this.#stateText);
  #owner = element("td.wide.owner");
  #duration = element("td.number");
  #models = element("td.number.wide");
  #tools = element("td.number.wide");
  #errors = element("td.number");
  #tokens = element("td.number.wider");
  #cost = element("td.number.wider");
  #started = element("time");

  /**
   * @param {(traceId: string) => string} urlOf
   * @param {(conversation: string) => void} showConversation
   */
  constructor(urlOf, showConversation) {
    this.urlOf = urlOf;
    this.#conversation.addEventListener("click", () =>
      showConversation(/** @type {Trace} */ (this.trace).conversation),
    );
    this.element = element(
      "tr",
      {},
      element(
        "th",
        { scope: "row" },
        element("div.called", {}, this.#link, this.#waiting),
        element("div.under", {}, this.#id, this.#conversation, this.#tags),
      ),
      element("td", {}, this.#state),
      ...[this.#owner, this.#duration, this.#models, this.#tools, this.#errors, this.#tokens, this.#cost],
      element("td.number.started", {}, this.#started),
    );
  }

  /**
   * @param {Trace} trace
   * @param {boolean} isWaiting whether its reader may decide something in it
   */
  show(trace, isWaiting) {
    this.trace = trace;
    const { trace_id: id, state, cost, error_count: errors, input_tokens: sent, output_tokens: got } = trace;
    const name = nameOf(trace);
    setText(this.#link, name || id);
    this.#link.href = this.#waiting.href = this.urlOf(id);
    setText(this.#id, name ? id : "");
    setText(this.#conversation, trace.conversation);
    this.#conversation.hidden = trace.conversation === "";
    if (this.#tags.textContent !== trace.tags.join("")) {
      this.#tags.replaceChildren(...trace.tags.map((tag) => element("span.tag", {}, tag)));
    }
    this.#waiting.hidden = !isWaiting;
    this.#state.className = `state ${state === "incomplete" ? "warning" : state}`;
    setIcon(this.#stateIcon, state === "incomplete" ? "warning" : state);
    setText(this.#stateText, formatName(state));
    setText(this.#owner, trace.owner ?? "");
    setText(this.#models, counted(trace.model_calls));
    setText(this.#tools, counted(trace.tool_calls));
    setText(this.#errors, counted(errors));
    this.#errors.classList.toggle("error", errors > 0);
    setText(this.#tokens, sent + got > 0 ? `${formatCount(sent)} \u2192 ${formatCount(got)}` : "\u2013");
    setText(this.#cost, cost === null ? "\u2013" : `$${Number(cost.toPrecision(3))}`);
    this.#started.dateTime = trace.started_at;
    this.#started.title = MOMENT.format(new Date(trace.started_at));
    this.tick();
  }

  /** What moves with time. */
  tick() {
    const { state, started_at, duration_ms } = /** @type {Trace} */ (this.trace);
    const age = Math.max(Date.now() - Date.parse(started_at), 0);
    setText(this.#started, ago(age));
    setText(this.#duration, state === "running" ? formatElapsed(age) : formatDuration(duration_ms));
  }
}

/** @param {number} count */
const counted = (count) => (count === 0 ? "\u2013" : formatNumber(count));

/**
 * Its name, or what it is about.
 *
 * @param {Trace} trace
 */
export function nameOf({ name, metadata }) {
  if (name !== "") return name;
  const goal = GOALS.map((key) => metadata?.[key]).find((text) => typeof text === "string" && text.trim() !== "");
  return goal === undefined ? "" : oneLine(goal, 120);
}

/** @param {number} milliseconds */
function ago(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS[UNITS.length - 1];
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}
