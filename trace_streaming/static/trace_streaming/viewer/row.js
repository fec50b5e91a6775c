// One line of the timeline.

import { possibleDuration } from "./format.js";

/** @typedef {import("../client/trace_stream.d.ts").TraceEvent} TraceEvent */

/** The events that begin what another one ends. */
export const OPENING = new Set(["tool_call_start", "approval_requested"]);

/** An event, or a call or approval with all of its events. */
export class Row {
  /** @type {TraceEvent[]} */
  events = [];
  /** @type {Row | null} */
  parent = null;
  depth = 0;
  children = 0;
  /** Milliseconds since 1970. */
  start = 0;
  /** @type {number | null} null while it is open. */
  end = null;
  /** Where it stands among all rows. */
  index = 0;
  /** Counts its changes, so that a view knows whether it is stale. */
  version = 0;
  /** @type {{from: number, to: number, reason: string} | null} of the kind `gap` */
  gap = null;
  /** @type {string | null} what a search looks at, made when it is needed. */
  searched = null;

  /** @param {string} kind `call`, `plan`, `route`, `budget`, `approval`, `event` or `gap` */
  constructor(kind) {
    this.kind = kind;
  }

  get first() {
    return this.events[0];
  }
  get last() {
    return this.events[this.events.length - 1];
  }
  get isOpen() {
    return this.end === null;
  }

  /** One of the protocol's statuses; `running` while a call is open. */
  get status() {
    if (this.kind === "gap") return "warning";
    return this.isOpen && this.kind === "call" ? "running" : this.last.status;
  }

  /** Milliseconds, as the event says or as the times say; null for what takes none. */
  get duration() {
    if (this.end === null || this.kind === "gap") return null;
    const told = possibleDuration(this.last.duration_ms);
    if (told !== null) return told;
    return OPENING.has(this.first.event) ? this.end - this.start : null;
  }

  /** The details of all of its events; what came later wins. */
  get details() {
    return Object.assign({}, ...this.events.map(({ details }) => details));
  }
}
