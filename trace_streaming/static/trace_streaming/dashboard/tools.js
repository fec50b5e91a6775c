// The slowest tools, those that fail, and the models; each row leads to the traces that called it.

import { element } from "../viewer/elements.js";
import { count, duration, percent, whole } from "./formats.js";

/** @typedef {{name: string, of: (called: any) => string, isWide?: boolean}} Column */
/** @typedef {(filter: Record<string, string>) => string | null} TracesUrl the address of the traces that a filter lets through */

export class CallTable {
  #columns;
  #share;
  #empty;
  #called;
  #tracesUrl;
  #place = element("div.tools");

  /**
   * @param {"tool" | "model"} called what is called
   * @param {TracesUrl} tracesUrl
   * @param {object} table
   * @param {string} table.title
   * @param {Column[]} table.columns
   * @param {(called: any) => number} table.size what the bars compare
   * @param {string} table.kind of the bars
   * @param {string} table.empty what is said where there is none
   */
  constructor(called, tracesUrl, { title, columns, size, kind, empty }) {
    this.#called = called;
    this.#tracesUrl = tracesUrl;
    this.#columns = columns;
    this.#share = size;
    this.#empty = empty;
    this.#place.classList.add(kind);
    this.element = element("section.card", {}, element("div.card-head", {}, element("h3", {}, title)), this.#place);
  }

  /** @param {any[]} called */
  show(called) {
    if (called.length === 0) {
      this.#place.replaceChildren(element("p.nothing", {}, this.#empty));
      return;
    }
    const classes = (/** @type {Column} */ { isWide }) => (isWide ? "number wide" : "number");
    const heads = this.#columns.map((column) =>
      element("th", { scope: "col", className: classes(column) }, column.name),
    );
    const highest = Math.max(...called.map(this.#share), Number.MIN_VALUE);
    const rows = called.map((each) => {
      const bar = element("span.bar", { "aria-hidden": "true" });
      bar.style.width = `${Math.max((this.#share(each) / highest) * 100, 1)}%`;
      const cells = this.#columns.map((column) => element("td", { className: classes(column) }, column.of(each)));
      return element("tr", {}, element("th", { scope: "row" }, this.#name(each[this.#called]), bar), ...cells);
    });
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, this.#called === "tool" ? "Tool" : "Model"),
      ...heads,
    );
    this.#place.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  /** @param {string | null} name */
  #name(name) {
    const url = name ? this.#tracesUrl({ [this.#called]: name }) : null;
    const text = name || "(no name)";
    if (url === null) return element("span.name", { title: text }, text);
    return element("a.name", { href: url, title: `Traces that called ${text}` }, text);
  }
}

const calls = (/** @type {any} */ tool) => whole(tool.total_steps + tool.errors);

/** @param {TracesUrl} tracesUrl */
export const slowestTools = (tracesUrl) =>
  new CallTable("tool", tracesUrl, {
    title: "Slowest tools",
    columns: [
      { name: "p50", of: (tool) => duration(tool.latency.p50) },
      { name: "p95", of: (tool) => duration(tool.latency.p95) },
      { name: "Calls", of: calls },
    ],
    size: (tool) => tool.latency.p95,
    kind: "running",
    empty: "No call has told how long it took.",
  });

/** @param {TracesUrl} tracesUrl */
export const failingTools = (tracesUrl) =>
  new CallTable("tool", tracesUrl, {
    title: "Tools with errors",
    columns: [
      { name: "Errors", of: (tool) => whole(tool.errors) },
      { name: "Rate", of: (tool) => percent(tool.tool_error_rate) },
      { name: "Calls", of: calls },
    ],
    size: (tool) => tool.errors,
    kind: "error",
    empty: "No call has failed.",
  });

/** @param {TracesUrl} tracesUrl */
export const models = (tracesUrl) =>
  new CallTable("model", tracesUrl, {
    title: "Models",
    columns: [
      { name: "Cost", of: ({ cost }) => (cost === null ? "–" : `$${Number(cost.toPrecision(3))}`) },
      { name: "Tokens in", of: (model) => count(model.input_tokens), isWide: true },
      { name: "Tokens out", of: (model) => count(model.output_tokens), isWide: true },
      { name: "p95", of: (model) => duration(model.latency.p95) },
      { name: "First token p95", of: (model) => duration(model.time_to_first_token.p95), isWide: true },
      { name: "Errors", of: (model) => whole(model.errors) },
      { name: "Calls", of: (model) => whole(model.calls) },
    ],
    size: (model) => model.cost ?? 0,
    kind: "running",
    empty: "No model was called.",
  });
