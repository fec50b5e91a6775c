// From times to places on the timeline, and the axis.

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

/** A linear scale over a part of a trace. Times are milliseconds. */
export class TimeScale {
  /**
   * @param {number} from
   * @param {number} to
   */
  constructor(from, to) {
    this.from = from;
    this.span = Math.max(to - from, 0.001);
  }

  get to() {
    return this.from + this.span;
  }

  /**
   * The place of a time, 0 to 1 where it is in view.
   *
   * @param {number} time
   */
  place(time) {
    return (time - this.from) / this.span;
  }

  /** @param {number} place */
  time(place) {
    return this.from + place * this.span;
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
      STEPS.find((size) => this.span / size <= count) ?? Math.ceil(this.span / count / 86_400_000) * 86_400_000;
    const ticks = [];
    const last = this.to - origin;
    for (let tick = Math.ceil((this.from - origin) / step); tick * step <= last; tick += 1) ticks.push(tick * step);
    return ticks;
  }
}
