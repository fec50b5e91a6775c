// One signal over time: a chart, and the same as a table for whoever cannot or will not look at charts.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { element, setText } from "../viewer/elements.js";
import { dayAndTime, moment } from "./formats.js";

const HEIGHT_PX = 168;
const TICKS_PX = 64;
/** Between two ticks: what is written with one digit. Halves of halves would be rounded to 0.3 and 0.8. */
const STEPS = [...Array(16).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** (power - 3)));
const FONT = "11px Inter, -apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, sans-serif";

/**
 * @typedef {{label: string, kind: string, of: (point: any) => number | null, isFilled?: boolean}} Line
 * @typedef {{title: string, lines: Line[], format: import("./formats.js").Format, least?: number, most?: number, isSparse?: boolean}} Signal
 *     `least`: the axis reaches at least so far; `most`: just so far; `isSparse`: most steps are not known
 */

export class Chart {
  #signal;
  /** @type {uPlot | null} */
  #plot = null;
  #step = 60;
  /** @type {any} times, and the values of each line */
  #data = [[]];
  #place = element("div.plot");
  #values = /** @type {HTMLElement[]} */ ([]);
  #swatches = /** @type {HTMLElement[]} */ ([]);
  #at = element("span.at");
  #grid = element("span.grid-colour", { "aria-hidden": "true" });
  #table = element("div.table-place", { hidden: true, tabIndex: 0, role: "region" });
  #switch = element("button.switch", { type: "button", "aria-pressed": "false" }, "Table");
  #none = element("p.none", { hidden: true }, "Not known in this time");
  #resized = new ResizeObserver(() => this.#draw());

  /** @param {Signal} signal */
  constructor(signal) {
    this.#signal = signal;
    const legend = element("div.legend", {}, this.#at);
    for (const { label, kind } of signal.lines) {
      const swatch = element(`span.swatch.${kind}`, { "aria-hidden": "true" });
      const value = element("b");
      legend.append(element("span.entry", {}, swatch, label, " ", value));
      this.#swatches.push(swatch);
      this.#values.push(value);
    }
    this.#place.setAttribute("role", "img");
    this.#place.setAttribute("aria-label", signal.title);
    this.#switch.setAttribute("aria-label", `${signal.title} as a table`);
    this.#table.setAttribute("aria-label", signal.title);
    this.#switch.addEventListener("click", () => this.#turn());
    this.element = element(
      "section.card.chart",
      {},
      element("div.card-head", {}, element("h3", {}, signal.title), this.#switch),
      legend,
      element("div.stage", {}, this.#place, this.#none),
      this.#table,
      this.#grid,
    );
    this.#resized.observe(this.#place);
  }

  /** @param {{points: any[], step_seconds: number}} series */
  show({ points, step_seconds }) {
    const lines = this.#signal.lines.map(({ of }) => points.map(of));
    this.#step = step_seconds;
    this.#data = [points.map(({ at }) => Date.parse(at) / 1000), ...lines];
    const isKnown = lines.some((line) => line.some((value) => value !== null));
    this.#none.hidden = isKnown;
    this.#place.setAttribute("aria-label", this.#summary(lines));
    this.#draw();
    this.#tell(null);
    if (!this.#table.hidden) this.#fill();
  }

  /** After the colours have changed. */
  recolour() {
    this.#plot?.redraw(false, true);
  }

  stop() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #turn() {
    const isTable = this.#table.hidden;
    this.#switch.setAttribute("aria-pressed", String(isTable));
    this.#table.hidden = !isTable;
    this.element.classList.toggle("as-table", isTable);
    if (isTable) this.#fill();
    else this.#draw();
  }

  #draw() {
    const width = this.#place.clientWidth;
    if (width === 0) return;
    if (this.#plot === null) this.#plot = new uPlot(this.#options(width), this.#data, this.#place);
    else {
      if (this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT_PX });
      this.#plot.setData(this.#data);
    }
  }

  /**
   * @param {number} width
   * @returns {uPlot.Options}
   */
  #options(width) {
    const { lines, format, least = 0, most, isSparse } = this.#signal;
    const colour = (/** @type {Element} */ node) => getComputedStyle(node).color;
    const grid = { stroke: () => colour(this.#grid), width: 1 };
    return {
      width,
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { sync: { key: "trace-dashboard", setSeries: false }, drag: { x: false, y: false }, y: false },
      scales: { y: { range: (_, __, highest) => [0, most ?? Math.max((highest ?? 0) * 1.1, least)] } },
      axes: [
        {
          ...{
            stroke: () => colour(this.#at),
            font: FONT,
            grid: { show: false },
            ticks: grid,
            size: 28,
            space: TICKS_PX,
          },
          values: (_, ticks, __, ___, step) => ticks.map((time) => moment(time, step)),
        },
        {
          ...{ stroke: () => colour(this.#at), font: FONT, grid, ticks: { show: false }, size: 54, space: 26 },
          incrs: STEPS,
          values: (_, ticks) => ticks.map((value) => format(value)),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, isFilled }, index) => ({
          label,
          width: 1.5,
          stroke: () => colour(this.#swatches[index]),
          fill: isFilled ? () => `color-mix(in srgb, ${colour(this.#swatches[index])} 12%, transparent)` : undefined,
          // A value with nothing known on either side is no line: it is a point.
          points: { size: 5, show: isSparse === true, ...(isSparse ? {} : { filter: alone }) },
        })),
      ],
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx ?? null)] },
    };
  }

  /** @param {number | null} index what the pointer is at; null is the newest that is known */
  #tell(index) {
    const { lines, format } = this.#signal;
    setText(this.#at, index === null ? "Latest" : dayAndTime(this.#data[0][index]));
    lines.forEach((_, line) => {
      const values = this.#data[line + 1] ?? [];
      const value = index === null ? values.findLast((/** @type {any} */ each) => each !== null) : values[index];
      setText(this.#values[line], format(value));
    });
  }

  /** @param {(number | null)[][]} values */
  #summary(values) {
    const { title, lines, format } = this.#signal;
    const said = lines.map(({ label }, index) => {
      const known = /** @type {number[]} */ (values[index].filter((value) => value !== null));
      if (known.length === 0) return `${label}: not known`;
      const ends = `lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}`;
      return `${label}: latest ${format(known.at(-1))}, ${ends}`;
    });
    return `${title} over time. ${said.join(". ")}.`;
  }

  #fill() {
    const { title, lines, format } = this.#signal;
    const [times, ...values] = this.#data;
    const heads = ["From", ...lines.map(({ label }) => label)].map((text, column) => {
      return element(column === 0 ? "th" : "th.number", { scope: "col" }, text);
    });
    const rows = times.map((/** @type {number} */ time, /** @type {number} */ index) => {
      const cells = values.map((/** @type {any} */ line) => element("td.number", {}, format(line[index])));
      const label = this.#step < 60 ? moment(time, this.#step) : dayAndTime(time);
      return element("tr", {}, element("th", { scope: "row" }, label), ...cells);
    });
    const caption = element("caption.hidden", {}, title);
    const body = element("tbody", {}, ...rows.reverse());
    this.#table.replaceChildren(element("table", {}, caption, element("thead", {}, element("tr", {}, ...heads)), body));
  }
}

/**
 * @param {uPlot} plot
 * @param {number} line
 * @returns {number[] | null} places of values with nothing known on either side
 */
function alone(plot, line) {
  const values = plot.data[line];
  const isKnown = (/** @type {number} */ index) => values[index] !== null && values[index] !== undefined;
  const found = [];
  for (let index = 0; index < values.length; index += 1) {
    if (isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1)) found.push(index);
  }
  return found.length > 0 ? found : null;
}
