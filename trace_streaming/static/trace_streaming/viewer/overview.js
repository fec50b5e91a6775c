// The whole trace in a strip: how much went on when, what failed, and which part the timeline shows.

import { element } from "./elements.js";
import { formatDuration } from "./format.js";
import { TimeScale } from "./timescale.js";

/** @typedef {import("./run.js").Run} Run */

const BAR_PX = 2;
/** So many at a time fill the strip, where there are never more. */
const FULL = 3;
const SMALLEST_DRAG_PX = 6;
const LAYERS = ["success", "running", "warning", "error"];
const OPACITIES = [0.75, 0.6, 1, 1];

export class Overview {
  #canvas = element("canvas", { role: "img", "aria-label": "No events" });
  #window = element("span.window");
  #label = element("span.window-label");
  #colours = LAYERS.map((name) => element(`span.colour.${name}`));
  element = element("div.overview", {}, this.#canvas, this.#window, this.#label, ...this.#colours);
  #drawn = "";
  /** The whole trace. */
  #scale = new TimeScale(0, 1);
  #dragFrom = /** @type {number | null} */ (null);

  /**
   * @param {(from: number, to: number) => void} zoom a part of the trace was chosen
   * @param {(time: number) => void} goTo a moment was
   * @param {() => void} reset all of it is to be shown
   * @param {() => void} stale it is to be drawn again
   */
  constructor(zoom, goTo, reset, stale) {
    const place = (/** @type {MouseEvent} */ event) => {
      const { left, width } = this.#canvas.getBoundingClientRect();
      return Math.min(Math.max((event.clientX - left) / width, 0), 1);
    };
    this.element.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      this.element.setPointerCapture(event.pointerId);
      this.#dragFrom = place(event);
    });
    this.element.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (this.#dragFrom !== null) this.#mark(this.#dragFrom, place(event), true);
    });
    this.element.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      if (this.#dragFrom === null) return;
      const [from, to] = [this.#dragFrom, place(event)].sort((a, b) => a - b);
      this.#dragFrom = null;
      if ((to - from) * this.#canvas.clientWidth < SMALLEST_DRAG_PX) goTo(this.#scale.time(to));
      else zoom(this.#scale.time(from), this.#scale.time(to));
    });
    this.element.addEventListener("pointercancel", () => (this.#dragFrom = null));
    this.element.addEventListener("dblclick", reset);
    // Nothing else tells that the page has changed from light to dark: the sheet lets these colours take a moment.
    this.element.addEventListener("transitionend", (/** @type {TransitionEvent} */ event) => {
      if (event.target !== this.#colours[0]) return;
      this.#drawn = "";
      stale();
    });
  }

  /**
   * @param {Run} run
   * @param {TimeScale} whole
   * @param {TimeScale} shown what the timeline shows of it
   * @param {number} now
   */
  draw(run, whole, shown, now) {
    this.#scale = whole;
    if (this.#dragFrom === null) this.#mark(whole.place(shown.from), whole.place(shown.to), shown.span < whole.span);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0) return;
    // Redrawn when a bar moves, not with each frame of a long trace.
    const step = Math.round((whole.to / whole.span) * width);
    const key = `${run.events.length} ${width} ${height} ${whole.from} ${whole.breaks.parts.length} ${run.openCalls > 0 ? step : whole.span}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#paint(count(run, whole, Math.ceil(width / BAR_PX), now), width, height);
    this.#canvas.setAttribute("aria-label", `${run.events.length} events in ${formatDuration(whole.span)}`);
  }

  /**
   * @param {Float64Array[]} layers
   * @param {number} width
   * @param {number} height
   */
  #paint(layers, width, height) {
    const ratio = globalThis.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);
    const totals = layers[0].map((_, bucket) => layers.reduce((sum, layer) => sum + layer[bucket], 0));
    const highest = totals.reduce((a, b) => Math.max(a, b), FULL);
    const room = height - 4;
    const bottoms = new Float64Array(totals.length).fill(height);
    layers.forEach((layer, index) => {
      context.fillStyle = getComputedStyle(this.#colours[index]).color;
      context.globalAlpha = OPACITIES[index];
      layer.forEach((amount, bucket) => {
        if (amount === 0) return;
        // The root, so that a quiet stretch is seen beside a busy one; an error is never lost.
        const share = (Math.sqrt(totals[bucket] / highest) * amount) / totals[bucket];
        const size = Math.max(share * room, 3);
        context.fillRect(bucket * BAR_PX, (bottoms[bucket] -= size), BAR_PX, size);
      });
    });
  }

  /**
   * @param {number} from places, 0 to 1
   * @param {number} to
   * @param {boolean} isPart
   */
  #mark(from, to, isPart) {
    const [left, right] = [Math.max(Math.min(from, to), 0), Math.min(Math.max(from, to), 1)];
    this.#window.hidden = this.#label.hidden = !isPart;
    this.#window.style.left = this.#label.style.left = `${left * 100}%`;
    this.#window.style.width = `${(right - left) * 100}%`;
    this.#label.textContent = formatDuration((right - left) * this.#scale.span);
  }
}

/**
 * How many rows are under way in each part of the trace, by status.
 *
 * @param {Run} run
 * @param {TimeScale} scale
 * @param {number} buckets
 * @param {number} now
 */
function count(run, scale, buckets, now) {
  const layers = LAYERS.map(() => new Float64Array(buckets + 1)); // what begins and ends, then the sums
  const bucketOf = (/** @type {number} */ time) => {
    return Math.min(Math.max(Math.floor(scale.place(time) * buckets), 0), buckets - 1);
  };
  for (const row of run.rows) {
    if (row.kind === "gap") continue;
    const known = LAYERS.indexOf(row.status);
    const layer = layers[known < 0 ? 1 : known];
    layer[bucketOf(row.start)] += 1;
    layer[bucketOf(row.end ?? now) + 1] -= 1;
  }
  for (const layer of layers) layer.forEach((change, bucket) => (layer[bucket] = change + (layer[bucket - 1] ?? 0)));
  return layers.map((layer) => layer.subarray(0, buckets));
}
