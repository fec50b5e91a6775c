// What a trace's events tell: rows in the order in which they began, calls paired with their ends, totals.

import { budgetOf } from "./budgets.js";
import { parseTime, possibleDuration } from "./format.js";
import { OPENING, Row } from "./row.js";

/** @typedef {import("../client/trace_stream.d.ts").TraceEvent} TraceEvent */

const KINDS = new Map([
  ["plan_created", "plan"],
  ["route_decision", "route"],
  ["tool_call_start", "call"],
  ["tool_call_complete", "call"],
  ["tool_call_error", "call"],
  ["budget_warning", "budget"],
  ["budget_exceeded", "budget"],
  ["approval_requested", "approval"],
  ["approval_received", "approval"],
  ["approval_timeout", "approval"],
]);

/** All that is known of one trace. */
export class Run {
  /** @type {Row[]} */
  rows = [];
  /** @type {TraceEvent[]} */
  events = [];
  /** Rows that changed after they were first shown, since the last `takeChanges`. */
  #changed = new Set();
  /** @type {Map<number, Row>} */
  #bySequence = new Map();
  /** @type {Map<string, Row>} */
  #byId = new Map();
  /** @type {Map<string, Row[]>} open calls without an id, by tool */
  #openByTool = new Map();
  /** @type {Map<string, import("./budgets.js").Budget>} */
  budgets = new Map();
  errors = 0;
  calls = 0;
  openCalls = 0;
  /** Milliseconds since 1970; 0 while there is no event. */
  start = 0;
  end = 0;
  /** @type {Map<string, number>} */
  countsByEvent = new Map();
  /** @type {Map<string, number>} of rows, whose statuses change when they end */
  rowsByStatus = new Map();

  /** @param {TraceEvent[]} events in order */
  add(events) {
    for (const event of events) this.#add(event);
  }

  /** @param {{from: number, to: number, reason: string}} gap */
  addGap(gap) {
    const row = new Row("gap");
    row.gap = gap;
    row.start = row.end = this.end;
    this.#append(row);
  }

  /** @param {number} sequence */
  rowOf(sequence) {
    return this.#bySequence.get(sequence) ?? null;
  }

  /** The rows that changed since this was last asked; those that are new are not among them. */
  takeChanges() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** @param {TraceEvent} event */
  #add(event) {
    this.events.push(event);
    const time = parseTime(event.timestamp);
    if (this.start === 0) this.start = time;
    this.start = Math.min(this.start, time);
    this.end = Math.max(this.end, time);
    count(this.countsByEvent, event.event);
    if (event.status === "error") this.errors += 1;
    const kind = KINDS.get(event.event) ?? "event";
    const opened = kind === "call" || kind === "approval" ? this.#takeOpen(kind, event) : null;
    const row = opened ?? this.#begin(kind, event, time);
    if (opened !== null) {
      this.#changed.add(row);
      count(this.rowsByStatus, row.status, -1);
    }
    row.events.push(event);
    row.version += 1;
    row.searched = null;
    this.#bySequence.set(event.sequence, row);
    if (!OPENING.has(event.event)) this.#finish(row, event, time);
    count(this.rowsByStatus, row.status);
    const budget = kind === "budget" ? budgetOf(event) : null;
    if (budget !== null) this.budgets.set(budget.label, budget);
  }

  /**
   * The open row that an event ends.
   *
   * @param {string} kind
   * @param {TraceEvent} event
   * @returns {Row | null}
   */
  #takeOpen(kind, event) {
    if (OPENING.has(event.event)) return null;
    const id = idOf(kind, event);
    if (id !== null) {
      const row = this.#byId.get(id);
      return row?.isOpen ? row : null;
    }
    return kind === "call" ? (this.#openByTool.get(event.tool_name ?? "")?.shift() ?? null) : null;
  }

  /**
   * @param {string} kind
   * @param {TraceEvent} event
   * @param {number} time
   */
  #begin(kind, event, time) {
    const row = new Row(kind);
    row.start = time;
    const { parent_call_id: parentId } = event.details;
    row.parent = typeof parentId === "string" ? (this.#byId.get(`call ${parentId}`) ?? null) : null;
    if (row.parent !== null) {
      row.depth = row.parent.depth + 1;
      row.parent.children += 1;
      row.parent.version += 1;
    }
    if (kind === "call") this.calls += 1;
    const id = idOf(kind, event);
    if (id !== null) this.#byId.set(id, row);
    if (OPENING.has(event.event)) {
      if (kind === "call") this.openCalls += 1;
      if (kind === "call" && id === null) this.#openCallsOf(event.tool_name ?? "").push(row);
    } else {
      row.start = time - (possibleDuration(event.duration_ms) ?? 0); // of a call whose start is not known
    }
    this.#append(row);
    return row;
  }

  /** @param {Row} row */
  #append(row) {
    row.index = this.rows.length;
    this.rows.push(row);
  }

  /**
   * @param {Row} row
   * @param {TraceEvent} event
   * @param {number} time
   */
  #finish(row, event, time) {
    row.end = Math.max(time, row.start);
    if (row.kind === "call" && row.first !== event) this.openCalls -= 1;
    this.start = Math.min(this.start, row.start);
  }

  /** @param {string} tool */
  #openCallsOf(tool) {
    const calls = this.#openByTool.get(tool) ?? [];
    this.#openByTool.set(tool, calls);
    return calls;
  }
}

/**
 * @param {string} kind
 * @param {TraceEvent} event
 */
function idOf(kind, { details }) {
  const id = kind === "call" ? details.call_id : kind === "approval" ? details.approval_id : null;
  return ["string", "number", "bigint"].includes(typeof id) ? `${kind} ${id}` : null;
}

/**
 * @param {Map<string, number>} counts
 * @param {string} key
 * @param {number} [change]
 */
function count(counts, key, change = 1) {
  counts.set(key, (counts.get(key) ?? 0) + change);
}
