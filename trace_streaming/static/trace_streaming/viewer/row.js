// One line of the timeline.

import { OUTCOMES, SPAN_KINDS, Span, parseTime } from "../client/spans.js";

/** Nobody has decided: nothing has failed. */
export const TIMEOUT = "approval_timeout";

/** A span with all of its events, an event that is none, or a gap. */
export class Row extends Span {
  /** Counts its changes, so that a view knows whether it is stale. */
  version = 0;
  /** @type {{from: number, to: number, reason: string} | null} what is missing here */
  gap = null;
  /** @type {{text: string, lower: string} | null} what a search looks at, made when it is needed. */
  searched = null;
  /** @type {{kind: string, status: string, isOpen: boolean, isAsked: boolean} | null} as what it was counted */
  counted = null;

  /** What its call has said up to now, as far as it was heard; the result follows. */
  said = "";
  /** How many characters of that were told before, and by now. */
  saidUntil = 0;

  /** That of its span, or `gap`. */
  get kind() {
    return this.gap === null ? super.kind : "gap";
  }

  /** Whether it is a call, an agent or a step: what lasts, and may hold others. */
  get isSpan() {
    return SPAN_KINDS.has(this.kind);
  }

  get index() {
    return this.arrival;
  }
  get children() {
    return this.inside.length;
  }
  get first() {
    return this.begun ?? this.events[0];
  }
  get last() {
    return this.ended ?? this.events[this.events.length - 1];
  }
  get isOpen() {
    return this.begun !== null && this.ended === null;
  }

  /** Milliseconds since 1970; null while it is open. Never before its start, where clocks differ. */
  get end() {
    if (this.isOpen) return null;
    return this.ended === null ? this.start : Math.max(parseTime(this.ended.timestamp), this.start);
  }

  /** One of the protocol's statuses; `running` while a span is open, `warning` for what neither succeeded nor failed. */
  get status() {
    if (this.gap !== null || OUTCOMES.has(this.outcome) || this.last.event === TIMEOUT) return "warning";
    return this.isOpen && this.isSpan ? "running" : this.last.status;
  }

  /** The details of all of its events; what the end says wins. */
  get details() {
    return Object.assign({}, ...[...this.byWeight].reverse().map(({ details }) => details));
  }
}
