// The slowest tools, and those that fail.

import { element } from "../viewer/elements.js";
import { duration, percent, whole } from "./formats.js";

/** @typedef {{name: string, of: (tool: any) => string}} Column */

export class ToolTable {
  #columns;
  #share;
  #empty;
  #place = element("div.tools");

  /**
   * @param {string} title
   * @param {Column[]} columns
   * @param {(tool: any) => number} size what the bars compare
   * @param {string} kind of the bars
   * @param {string} empty what is said where there is no tool
   */
  constructor(title, columns, size, kind, empty) {
    this.#columns = columns;
    this.#share = size;
    this.#empty = empty;
    this.#place.classList.add(kind);
    this.element = element("section.card", {}, element("div.card-head", {}, element("h3", {}, title)), this.#place);
  }

  /** @param {any[]} tools */
  show(tools) {
    if (tools.length === 0) {
      this.#place.replaceChildren(element("p.nothing", {}, this.#empty));
      return;
    }
    const heads = this.#columns.map(({ name }) => element("th.number", { scope: "col" }, name));
    const highest = Math.max(...tools.map(this.#share), Number.MIN_VALUE);
    const rows = tools.map((tool) => {
      const bar = element("span.bar", { "aria-hidden": "true" });
      bar.style.width = `${Math.max((this.#share(tool) / highest) * 100, 1)}%`;
      const name = element("span.name", { title: tool.tool ?? "" }, tool.tool ?? "(no name)");
      const cells = this.#columns.map(({ of }) => element("td.number", {}, of(tool)));
      return element("tr", {}, element("th", { scope: "row" }, name, bar), ...cells);
    });
    const head = element("tr", {}, element("th", { scope: "col" }, "Tool"), ...heads);
    this.#place.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }
}

export const slowestTools = () =>
  new ToolTable(
    "Slowest tools",
    [
      { name: "p50", of: (tool) => duration(tool.latency.p50) },
      { name: "p95", of: (tool) => duration(tool.latency.p95) },
      { name: "Calls", of: (tool) => whole(tool.total_steps + tool.errors) },
    ],
    (tool) => tool.latency.p95,
    "running",
    "No call has told how long it took.",
  );

export const failingTools = () =>
  new ToolTable(
    "Tools with errors",
    [
      { name: "Errors", of: (tool) => whole(tool.errors) },
      { name: "Rate", of: (tool) => percent(tool.tool_error_rate) },
      { name: "Calls", of: (tool) => whole(tool.total_steps + tool.errors) },
    ],
    (tool) => tool.errors,
    "error",
    "No call has failed.",
  );
