// From times to places on the timeline, and the axis.

import { Breaks } from "./waits.js";

const STEPS = [
  ...[...Array(7).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** (power - 3))).slice(0, -2),
  2000,
  5000,
  10_000,
  15_000,
  30_000,
  60_000,
  120_000,
  300_000,
  600_000,
  900_000,
  1_800_000,
  3_600_000,
  7_200_000,
  14_400_000,
  28_800_000,
  86_400_000,
];

const UNBROKEN = new Breaks();

/** A linear scale over a part of a trace, but for its breaks. Times are milliseconds. */
export class TimeScale {
  /**
   * @param {number} from
   * @param {number} to
   * @param {Breaks} [breaks]
   */
  constructor(from, to, breaks = UNBROKEN) {
    this.from = from;
    this.span = Math.max(to - from, 0.001);
    this.breaks = breaks;
    this.#start = breaks.squeeze(from);
    this.shown = Math.max(breaks.squeeze(to) - this.#start, 0.001);
  }

  #start;
  /** Milliseconds of the part that have room: waits have as little as is kept of them. */
  shown;

  get to() {
    return this.from + this.span;
  }

  /**
   * The place of a time, 0 to 1 where it is in view.
   *
   * @param {number} time
   */
  place(time) {
    return (this.breaks.squeeze(time) - this.#start) / this.shown;
  }

  /** @param {number} place */
  time(place) {
    return this.breaks.stretch(this.#start + place * this.shown);
  }

  /**
   * A part around a time; null where it is as much as all.
   *
   * @param {number} centre
   * @param {number} factor below 1 shows less
   * @param {TimeScale} whole which it does not leave
   */
  zoomed(centre, factor, whole) {
    const span = this.span * factor;
    if (span >= whole.span) return null;
    const from = Math.min(Math.max(centre - span / 2, whole.from), whole.to - span);
    return { from, to: from + span };
  }

  /**
   * Round times for the axis, at most so many.
   *
   * @param {number} origin what times are counted from
   * @param {number} count
   * @returns {number[]} times since the origin
   */
  ticks(origin, count) {
    const step =
      STEPS.find((size) => this.shown / size <= count) ?? Math.ceil(this.shown / count / 86_400_000) * 86_400_000;
    const ticks = [];
    const last = this.to - origin;
    const { parts } = this.breaks;
    for (let tick = Math.ceil((this.from - origin) / step); tick * step <= last; tick += 1) {
      const hidden = parts.find(({ from, to }) => tick * step + origin > from && tick * step + origin < to);
      if (hidden === undefined) ticks.push(tick * step);
      else tick = Math.max(Math.ceil((hidden.to - origin) / step) - 1, tick); // a wait may be of days
    }
    return ticks;
  }
}
