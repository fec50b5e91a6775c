// Where a trace only waits for a human: the timeline gives that a sliver of its room, so that work is not squeezed by it.

/** @typedef {import("./row.js").Row} Row */
/** @typedef {{from: number, to: number}} Part of a trace, in milliseconds since 1970 */

/** A wait that is shorter is shown as long as it is. */
const SHORTEST_MS = 2000;
/** What each wait gets of the room that work has. */
const SHARE = 0.05;
/** A wait that takes less of the trace squeezes nothing. */
const WORTH = 0.1;

/** The waits of a trace, and how much of each is kept. */
export class Breaks {
  /** @param {Part[]} parts in order, none of which touches another */
  constructor(parts = []) {
    this.parts = parts;
    this.kept = 0;
  }

  /**
   * Those of a whole trace that are worth it.
   *
   * @param {Part[]} waits
   * @param {number} span of the trace
   */
  static of(waits, span) {
    const parts = waits.filter(({ from, to }) => to - from >= Math.max(SHORTEST_MS, span * WORTH));
    const breaks = new Breaks(parts);
    const waited = parts.reduce((sum, { from, to }) => sum + to - from, 0);
    breaks.kept = Math.max((span - waited) * SHARE, 1);
    return breaks;
  }

  get isEmpty() {
    return this.parts.length === 0;
  }

  /** How long it is until a time, where waits count as little as is kept of them. @param {number} time */
  squeeze(time) {
    let squeezed = time;
    for (const { from, to } of this.parts) {
      if (time <= from) break;
      const length = to - from;
      squeezed -= (Math.min(time, to) - from) * (1 - this.kept / length);
    }
    return squeezed;
  }

  /** The time of which that is so. @param {number} squeezed */
  stretch(squeezed) {
    let time = squeezed;
    for (const { from, to } of this.parts) {
      if (time <= from) break;
      const length = to - from;
      if (time <= from + this.kept) return from + ((time - from) * length) / this.kept;
      time += length - this.kept;
    }
    return time;
  }
}

/**
 * When a human is waited for and nothing else goes on: no call, and no agent or step that has no calls of its own.
 *
 * @param {Iterable<Row>} rows
 * @param {number} now until when what is open has waited
 * @returns {Part[]} in order
 */
export function waitsOf(rows, now) {
  const asked = /** @type {Part[]} */ ([]);
  const worked = /** @type {Part[]} */ ([]);
  for (const row of rows) {
    if (row.kind === "gap") continue;
    const part = { from: row.start, to: row.end ?? now };
    if (row.kind === "approval") asked.push(part);
    else if (!row.isSpan) worked.push(part);
    else if (row.children === 0) worked.push(part);
  }
  if (asked.length === 0) return [];
  return without(united(asked), united(worked));
}

/** @param {Part[]} parts */
function united(parts) {
  const found = /** @type {Part[]} */ ([]);
  for (const { from, to } of parts.sort((one, other) => one.from - other.from)) {
    const last = found.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else found.push({ from, to });
  }
  return found;
}

/**
 * What is left of some parts where others are taken out; both are in order, and none touches another.
 *
 * @param {Part[]} parts
 * @param {Part[]} others
 */
function without(parts, others) {
  const left = /** @type {Part[]} */ ([]);
  let index = 0;
  for (const { from, to } of parts) {
    let begin = from;
    while (index < others.length && others[index].to <= from) index += 1;
    for (let at = index; at < others.length && others[at].from < to; at += 1) {
      if (others[at].from > begin) left.push({ from: begin, to: others[at].from });
      begin = Math.max(begin, others[at].to);
    }
    if (begin < to) left.push({ from: begin, to });
  }
  return left;
}
