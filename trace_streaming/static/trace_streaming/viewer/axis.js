// The head of the timeline: what the columns are, and the times, with a line down through the rows for each.

import { DraggedWidth } from "./dragged_width.js";
import { element, setText } from "./elements.js";
import { formatDuration } from "./format.js";

/** @typedef {import("./timescale.js").TimeScale} TimeScale */

const TICK_PX = 90;
/** A narrower break has its length in its tooltip alone. */
const BREAK_PX = 40;

export class Axis {
  #lane = element("span.lane.axis", { role: "columnheader", "aria-label": "Timeline" });
  #width = new DraggedWidth({
    key: "trace-viewer-lane",
    property: "--lane-width",
    label: "Width of the timeline",
    narrowest: 160,
  });
  element = element(
    "div.row.head",
    { role: "row", "aria-rowindex": "1" },
    ...["sequence", "time", "main", "status", "duration"].map((name) => {
      const text = { sequence: "#", time: "Time (s)", main: "Event", status: "Status", duration: "Duration" }[name];
      return element(`span.${name}`, { role: "columnheader" }, text ?? "");
    }),
    this.#lane,
  );
  /** @type {HTMLElement[]} */
  #ticks = [];
  /** @type {HTMLElement[]} */
  #breaks = [];

  /** @param {HTMLElement} grid whose timeline is dragged wider */
  attach(grid) {
    this.#lane.append(this.#width.handle);
    this.#width.attach(grid, () => this.#lane);
  }

  /**
   * @param {TimeScale} scale
   * @param {number} origin when the trace began
   */
  draw(scale, origin) {
    const width = this.#lane.clientWidth;
    this.#drawBreaks(scale);
    const times = width > 0 ? scale.ticks(origin, Math.max(width / TICK_PX, 1)).filter((time) => time >= 0) : [];
    while (this.#ticks.length < times.length) {
      const tick = element("span.tick", {}, element("span"));
      this.#ticks.push(tick);
      this.#lane.append(tick);
    }
    this.#ticks.forEach((tick, index) => {
      tick.hidden = index >= times.length;
      if (tick.hidden) return;
      const place = scale.place(times[index] + origin);
      tick.style.left = `${place * 100}%`;
      // A label beyond the end would be cut off.
      /** @type {HTMLElement} */ (tick.firstElementChild).hidden = (1 - place) * width < 34;
      setText(/** @type {Node} */ (tick.firstElementChild), times[index] === 0 ? "0" : formatDuration(times[index]));
    });
  }

  /** Where nothing but a wait was, with how long that was. @param {TimeScale} scale */
  #drawBreaks(scale) {
    const { parts } = scale.breaks;
    while (this.#breaks.length < parts.length) {
      const mark = element("span.break", {}, element("span"));
      this.#breaks.push(mark);
      this.#lane.append(mark);
    }
    this.#breaks.forEach((mark, index) => {
      const part = parts[index];
      const [left, right] = part === undefined ? [0, 0] : [part.from, part.to].map((time) => scale.place(time));
      mark.hidden = right <= 0 || left >= 1;
      if (mark.hidden) return;
      const [from, to] = [Math.max(left, 0), Math.min(right, 1)];
      mark.style.left = `${from * 100}%`;
      mark.style.width = `${(to - from) * 100}%`;
      const text = formatDuration(part.to - part.from);
      mark.title = `Only waits, for ${text}`;
      const name = /** @type {HTMLElement} */ (mark.firstElementChild);
      name.hidden = (to - from) * this.#lane.clientWidth < BREAK_PX;
      setText(name, text);
    });
  }
}
