// The head of the timeline: what the columns are, and the times, with a line down through the rows for each.

import { element, setText } from "./elements.js";
import { formatDuration } from "./format.js";

/** @typedef {import("./timescale.js").TimeScale} TimeScale */

const TICK_PX = 90;

export class Axis {
  #lane = element("span.lane.axis", { role: "columnheader", "aria-label": "Timeline" });
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

  /**
   * @param {TimeScale} scale
   * @param {number} origin when the trace began
   */
  draw(scale, origin) {
    const width = this.#lane.clientWidth;
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
}
