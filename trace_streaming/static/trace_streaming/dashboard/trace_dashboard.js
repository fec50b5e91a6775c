// <trace-dashboard>: golden signals over time, tools, and what waits for approval. docs/signals.md says how it is used.

import { Approvals } from "./approvals.js";
import { Chart } from "./chart.js";
import { Polling, Refused, getJson } from "./polling.js";
import { TILES, signals, withRates } from "./signals.js";
import { failingTools, models, slowestTools } from "./tools.js";
import { element, setText } from "../viewer/elements.js";

const STYLES = ["../vendor/uplot/uPlot.min.css", "./trace_dashboard.css"].map(
  (name) => new URL(name, import.meta.url).href,
);
const SIGNALS_MS = 5000;
const APPROVALS_MS = 3000;
const TICK_MS = 1000;
const RANGES = [
  { label: "15 min", name: "the last 15 minutes", seconds: 900 },
  { label: "1 h", name: "the last hour", seconds: 3600 },
  { label: "6 h", name: "the last 6 hours", seconds: 6 * 3600 },
  { label: "24 h", name: "the last 24 hours", seconds: 24 * 3600 },
  { label: "7 d", name: "the last 7 days", seconds: 7 * 24 * 3600 },
];
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

export class TraceDashboard extends HTMLElement {
  #range = RANGES[1];
  #timer = 0;
  #updated = /** @type {Date | null} */ (null);
  #state = element("p.state", { role: "status" });
  #age = element("span.age");
  #tiles = TILES.map(({ name, of }) => ({ of, name, value: element("dd", {}, "–") }));
  #charts = signals().map((signal) => new Chart(signal));
  #slowest = slowestTools((filter) => this.#tracesUrl(filter));
  #failing = failingTools((filter) => this.#tracesUrl(filter));
  #models = models((filter) => this.#tracesUrl(filter));
  #approvals = new Approvals((traceId) => this.#traceUrl(traceId));
  #nothing = element("div.card.empty", { hidden: true }, element("b"), element("p"));
  #body = element(
    "div.body",
    {},
    element(
      "dl.tiles",
      {},
      ...this.#tiles.map(({ name, value }) => element("div.card", {}, element("dt", {}, name), value)),
    ),
    element("div.charts", {}, ...this.#charts.map(({ element }) => element)),
    this.#models.element,
    element("div.tables", {}, this.#slowest.element, this.#failing.element),
  );
  #frame = element(
    "div.dashboard",
    { hidden: true },
    element(
      "div.head",
      {},
      element("h2.hidden", {}, "Golden signals"),
      this.#ranges(),
      element("div.freshness", {}, this.#state, this.#age),
    ),
    this.#approvals.element,
    this.#nothing,
    this.#body,
  );
  #colours = matchMedia("(prefers-color-scheme: dark)");
  #theme = new MutationObserver(() => this.#recolour());

  #polls = [
    new Polling(
      SIGNALS_MS,
      (signal) => this.#askSignals(signal),
      (answers) => this.#show(answers),
      (error) => this.#fail(error),
    ),
    new Polling(
      APPROVALS_MS,
      (signal) => getJson(this.#address("approvals"), signal),
      (answer) => this.#approvals.show(answer),
      (error) => this.#fail(error),
    ),
  ];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheets = STYLES.map((href) => element("link", { rel: "stylesheet", href, nonce: this.nonce }));
    const styled = sheets.map((sheet) => new Promise((done) => sheet.addEventListener("load", done)));
    Promise.all(styled).then(() => (this.#frame.hidden = false));
    root.append(...sheets, this.#frame);
  }

  connectedCallback() {
    this.#say("wait", "Asking");
    for (const poll of this.#polls) poll.start();
    this.#timer = setInterval(() => !document.hidden && this.#approvals.tick(), TICK_MS);
    this.#colours.addEventListener("change", this.#recolour);
    this.#theme.observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme", "class", "style"],
    });
  }

  disconnectedCallback() {
    for (const poll of this.#polls) poll.stop();
    for (const chart of this.#charts) chart.stop();
    clearInterval(this.#timer);
    this.#colours.removeEventListener("change", this.#recolour);
    this.#theme.disconnect();
  }

  /** @param {AbortSignal} signal */
  #askSignals(signal) {
    const query = `?last=${this.#range.seconds}`;
    return Promise.all(["signals", "series", "tools"].map((name) => getJson(this.#address(name) + query, signal)));
  }

  /** @param {any[]} answers */
  #show([window, series, tools]) {
    this.#updated = new Date();
    this.#say("live", "Live");
    const called = window.models ?? [];
    const isEmpty = window.traces === 0 && called.length === 0;
    this.#body.hidden = isEmpty;
    this.#nothing.hidden = !isEmpty;
    const [head, hint] = this.#nothing.children;
    setText(head, `No agent has called a tool or a model in ${this.#range.name}`);
    setText(hint, "Signals appear here by themselves as soon as one does.");
    if (isEmpty) return;
    for (const { of, value } of this.#tiles) setText(value, of(window));
    const points = withRates(series);
    for (const chart of this.#charts) chart.show({ ...series, points });
    this.#slowest.show(tools.slowest);
    this.#failing.show(tools.failing);
    this.#models.element.hidden = called.length === 0;
    this.#models.show([...called].sort((one, other) => (other.cost ?? 0) - (one.cost ?? 0)));
  }

  /** @param {Error} error */
  #fail(error) {
    if (error instanceof Refused) this.#say("away", "You may not see signals any more: log in again");
    else this.#say("away", "The server does not answer, trying again");
  }

  /**
   * @param {"wait" | "live" | "away"} kind
   * @param {string} text
   */
  #say(kind, text) {
    this.#state.className = `state ${kind}`;
    this.#frame.classList.toggle("stale", kind === "away");
    setText(this.#state, text);
    const time = this.#updated === null ? "" : CLOCK.format(this.#updated);
    setText(this.#age, time && (kind === "live" ? time : `Shown as of ${time}`));
  }

  #ranges() {
    const choices = RANGES.map((range) => {
      const input = element("input", { type: "radio", name: "range", checked: range === this.#range });
      input.addEventListener("change", () => {
        this.#range = range;
        this.#polls[0].now();
      });
      return element("label", {}, input, element("span", {}, range.label));
    });
    return element("fieldset.ranges", {}, element("legend.hidden", {}, "Time"), ...choices);
  }

  #recolour = () => {
    for (const chart of this.#charts) chart.recolour();
  };

  /** @param {string} name */
  #address(name) {
    return this.getAttribute(name) ?? "";
  }

  /** @param {Record<string, string>} filter of the list; null where the page has named none */
  #tracesUrl(filter) {
    const url = this.getAttribute("traces-url");
    return url === null ? null : `${url}?${new URLSearchParams(filter)}`;
  }

  /** @param {string} traceId */
  #traceUrl(traceId) {
    return (this.getAttribute("trace-url") ?? "TRACE").replace("TRACE", encodeURIComponent(traceId));
  }
}

// A page may load it by two addresses, with and without the hash of a manifest storage.
if (!customElements.get("trace-dashboard")) customElements.define("trace-dashboard", TraceDashboard);
