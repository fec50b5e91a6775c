// <trace-list>: the traces that its reader may watch, those that run first, live. docs/viewer.md says how it is used.

import { Polling, Refused, getJson } from "../dashboard/polling.js";
import { element, setText } from "../viewer/elements.js";
import { Filters } from "./filters.js";
import { Row } from "./row.js";
import { Traces } from "./traces.js";

/** @typedef {import("./traces.js").Trace} Trace */

const STYLES = new URL("./trace_list.css", import.meta.url).href;
const PERIOD_MS = 2000;
const APPROVALS_MS = 3000;
const TICK_MS = 1000;
/** Traces of one answer. */
const PAGE = 50;
/** Of those that ran when they were last seen, so many are asked for one by one. */
const MOST_ASKED = 20;
const HEADS = [
  ["Trace", ""],
  ["State", ""],
  ["Owner", "wide"],
  ["Duration", "number"],
  ["Model calls", "number wide"],
  ["Tool calls", "number wide"],
  ["Errors", "number"],
  ["Tokens", "number wider"],
  ["Cost", "number wider"],
  ["Started", "number started"],
];

export class TraceList extends HTMLElement {
  #traces = new Traces();
  /** @type {Map<string, Row>} by trace id */
  #rows = new Map();
  /** Where something waits for a decision that the reader may take. */
  #waiting = new Set();
  /** The address of the page behind all that is known; undefined before the first answer. */
  #next = /** @type {string | null | undefined} */ (undefined);
  #timer = 0;
  #filters = new Filters(() => this.#refilter());
  #state = element("p.freshness", { role: "status" });
  #body = element("tbody");
  #older = element("button.older", { type: "button", hidden: true }, "Show older traces");
  #hint = element("p");
  #clear = element("button.clear", { type: "button" }, "Show all traces");
  #empty = element("div.empty", { hidden: true }, element("b"), this.#hint, this.#clear);
  #table = element(
    "table",
    { "aria-label": "Traces" },
    element("thead", {}, element("tr", {}, ...HEADS.map(([name, classes]) => head(name, classes)))),
    this.#body,
  );
  #frame = element(
    "div.list",
    { hidden: true },
    element("div.head", {}, this.#filters.element, this.#state),
    this.#table,
    this.#empty,
    this.#older,
  );

  #polls = [
    new Polling(
      PERIOD_MS,
      (signal) => this.#ask(signal),
      (answers) => this.#show(answers),
      (error) => this.#fail(error),
    ),
    new Polling(
      APPROVALS_MS,
      (signal) => getJson(this.getAttribute("approvals") ?? "", signal),
      ({ approvals }) => this.#showWaiting(approvals),
      () => {}, // the other question says what is wrong
    ),
  ];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const styles = element("link", { rel: "stylesheet", href: STYLES, nonce: this.nonce });
    styles.addEventListener("load", () => (this.#frame.hidden = false));
    root.append(styles, this.#frame);
    this.#older.addEventListener("click", () => this.#showOlder());
    this.#clear.addEventListener("click", () => this.#filters.clear());
  }

  connectedCallback() {
    this.#say("wait", "Loading");
    for (const poll of this.#polls) poll.start();
    this.#timer = setInterval(() => !document.hidden && this.#tick(), TICK_MS);
    document.addEventListener("keydown", this.#press);
  }

  disconnectedCallback() {
    for (const poll of this.#polls) poll.stop();
    clearInterval(this.#timer);
    document.removeEventListener("keydown", this.#press);
  }

  /** `/` searches, wherever the page is. @param {KeyboardEvent} event */
  #press = (event) => {
    const isWriting = /** @type {Element} */ (event.composedPath()[0]).matches?.("input, textarea, select");
    if (event.key !== "/" || isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#filters.focus();
  };

  // Asking

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    const { query } = this.#filters;
    const only = query.get("state");
    const running = new URLSearchParams(query);
    running.set("state", "running");
    const [newest, others] = await Promise.all([
      getJson(this.#address(query), signal),
      only === null ? getJson(this.#address(running), signal) : { results: [] },
    ]);
    const seen = [...newest.results, ...others.results];
    const unseen = this.#traces.unseen(seen).slice(0, MOST_ASKED);
    const asked = await Promise.all(unseen.map((trace) => this.#askAgain(trace, signal)));
    return { newest, running: others.results, ended: asked.filter((trace) => trace !== null) };
  }

  /**
   * @param {Trace} trace
   * @param {AbortSignal} signal
   * @returns {Promise<Trace | null>} null where it is no more, or fits no more
   */
  async #askAgain(trace, signal) {
    const fits = this.#filters.query.get("state") === null;
    const id = encodeURIComponent(trace.trace_id);
    const now = fits ? await getJson(`${this.getAttribute("source")}/${id}`, signal).catch(() => null) : null;
    if (now === null) this.#traces.remove(trace.trace_id);
    return now;
  }

  /** @param {URLSearchParams} query */
  #address(query) {
    const whole = new URLSearchParams(query);
    whole.set("limit", String(PAGE));
    return `${this.getAttribute("source")}?${whole}`;
  }

  #refilter() {
    this.#traces = new Traces();
    this.#next = undefined;
    this.#say("wait", "Loading");
    this.#polls[0].now();
  }

  async #showOlder() {
    if (!this.#next) return;
    const traces = this.#traces;
    this.#older.disabled = true;
    try {
      const page = await getJson(this.#next, AbortSignal.timeout(20_000));
      if (traces === this.#traces) {
        this.#next = page.next;
        traces.add(page.results);
        this.#draw();
      } // otherwise others have been asked for meanwhile
    } catch (error) {
      this.#fail(/** @type {Error} */ (error));
    }
    this.#older.disabled = false;
  }

  // Showing

  /** @param {{newest: {results: Trace[], next: string | null}, running: Trace[], ended: Trace[]}} answers */
  #show({ newest, running, ended }) {
    if (this.#next === undefined) this.#next = newest.next;
    this.#traces.update(newest.results, [...running, ...ended], newest.next === null);
    this.#say("live", "Live");
    this.#draw();
  }

  /** @param {{trace_id: string, can_decide: boolean}[]} approvals */
  #showWaiting(approvals) {
    this.#waiting = new Set(approvals.filter(({ can_decide }) => can_decide).map(({ trace_id }) => trace_id));
    this.#draw();
  }

  #draw() {
    const gone = new Map(this.#rows);
    const { ordered } = this.#traces;
    ordered.forEach((trace, index) => {
      const id = trace.trace_id;
      gone.delete(id);
      const row = this.#rows.get(id) ?? new Row(this.#urlOf, (name) => this.#filters.set("conversation", name));
      this.#rows.set(id, row);
      row.show(trace, this.#waiting.has(id));
      if (this.#body.rows[index] !== row.element) this.#body.insertBefore(row.element, this.#body.rows[index] ?? null);
    });
    for (const [id, { element }] of gone) {
      element.remove();
      this.#rows.delete(id);
    }
    this.#older.hidden = !this.#next;
    this.#table.hidden = ordered.length === 0;
    this.#empty.hidden = ordered.length > 0 || this.#next === undefined;
    if (!this.#empty.hidden) this.#explain();
  }

  /** Why there is nothing, and what to do. */
  #explain() {
    const { isActive } = this.#filters;
    setText(this.#empty.firstElementChild, isActive ? "No trace matches." : "Nothing has been emitted yet.");
    setText(
      this.#hint,
      isActive
        ? "New traces that match appear here by themselves."
        : 'New traces appear here by themselves: TraceEmitter("my-first").emit("plan_created", {"goal": "Look around"})',
    );
    this.#clear.hidden = !isActive;
  }

  #tick() {
    for (const row of this.#rows.values()) row.tick();
  }

  /** @param {Error} error */
  #fail(error) {
    this.#say("away", error instanceof Refused ? "Log in to see traces" : "The server does not answer, trying again");
  }

  /**
   * @param {"wait" | "live" | "away"} kind
   * @param {string} text
   */
  #say(kind, text) {
    this.#state.className = `freshness ${kind}`;
    setText(this.#state, text);
  }

  /** @param {string} traceId */
  #urlOf = (traceId) => (this.getAttribute("trace-url") ?? "TRACE").replace("TRACE", encodeURIComponent(traceId));
}

/**
 * @param {string} name
 * @param {string} classes
 */
function head(name, classes) {
  const node = element("th", { scope: "col" }, name);
  node.className = classes;
  return node;
}

// A page may load it by two addresses, with and without the hash of a manifest storage.
if (!customElements.get("trace-list")) customElements.define("trace-list", TraceList);
