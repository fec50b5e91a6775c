// What a trace's events tell: rows in the order of the tree, each a span with its events, and totals.

import { Conversations } from "../client/conversations.js";
import { SPAN_KINDS, Spans } from "../client/spans.js";
import { budgetOf } from "./budgets.js";
import { modelOf } from "./filter.js";
import { parseTime, possibleDuration } from "./format.js";
import { Row, TIMEOUT } from "./row.js";
import { stopAfter } from "./stop.js";

/** @typedef {import("../client/trace_stream.d.ts").TraceEvent} TraceEvent */

/** Characters that a row keeps of what a call says. */
const MOST_SAID = 2000;

/** All that is known of one trace. */
export class Run {
  /** @type {Spans<Row>} */
  #spans = new Spans(() => new Row());
  /** @type {TraceEvent[]} */
  events = [];
  /** Rows that changed after they were first shown, since the last `takeChanges`. */
  #changed = new Set();
  /** @type {Map<string, import("./budgets.js").Budget>} */
  budgets = new Map();
  /** What the models were sent. */
  conversations = new Conversations();
  errors = 0;
  /** How often a row has become of another kind: some sources know at its end alone what it was. */
  renamed = 0;
  /** What somebody has asked of it. @type {import("./stop.js").Stop | null} */
  stop = null;
  /** Of all calls of models, in and out. */
  tokens = 0;
  /** How many calls, agents and steps are open. */
  openCalls = 0;
  /** How many approvals are undecided. */
  openApprovals = 0;
  /** Of all calls of models, in US dollars; null where nobody has told. @type {number | null} */
  cost = null;
  /** Milliseconds since 1970; 0 while there is no event. */
  start = 0;
  end = 0;
  /** @type {Map<string, number>} */
  countsByEvent = new Map();
  /** @type {Map<string, number>} of rows, whose statuses change when they end */
  rowsByStatus = new Map();
  /** Names of the tools and of the models that were called. @type {Set<string>} */
  tools = new Set();
  /** @type {Set<string>} */
  models = new Set();
  /** @type {Map<string, number>} of rows, whose kinds may be known at their ends alone */
  rowsByKind = new Map();

  /** @param {TraceEvent[]} events in order */
  add(events) {
    for (const event of events) this.#add(event);
  }

  /**
   * Takes a piece of what an open call says. Who has missed one reads on from the next.
   *
   * @param {{call_id: string, offset: number, text: string}} delta
   */
  hear({ call_id, offset, text }) {
    const row = this.#spans.ofCall(call_id);
    if (row === null || !row.isOpen || offset < row.saidUntil) return;
    row.said = (offset > row.saidUntil ? "\u2026 " : row.said) + text;
    row.said = row.said.slice(-MOST_SAID);
    row.saidUntil = offset + text.length;
    row.version += 1;
    this.#changed.add(row);
  }

  /** @param {{from: number, to: number, reason: string}} gap */
  addGap(gap) {
    const row = new Row();
    row.gap = gap;
    row.start = this.end;
    this.#spans.addSingle(row);
  }

  /** In the order of the tree. */
  get rows() {
    return this.#spans.ordered;
  }

  /** Counts how often rows have changed their order. */
  get reordered() {
    return this.#spans.reordered;
  }

  /** How many calls of tools. */
  get calls() {
    return this.rowsByKind.get("tool") ?? 0;
  }

  /** How many calls of models. */
  get modelCalls() {
    return this.rowsByKind.get("llm") ?? 0;
  }

  /** @param {string} callId */
  ofCall(callId) {
    return this.#spans.ofCall(callId);
  }

  /** @param {number} sequence */
  rowOf(sequence) {
    return this.#spans.of(sequence);
  }

  /** The rows that changed since this was last asked; those that are new are not among them. */
  takeChanges() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** @param {TraceEvent} event */
  #add(event) {
    const added = this.#spans.add(event);
    if (added === null) return;
    const { span: row, isNew } = added;
    this.events.push(event);
    this.conversations.add(event);
    count(this.countsByEvent, event.event);
    if (event.status === "error" && event.event !== TIMEOUT) this.errors += 1;
    if (!isNew) this.#changed.add(row);
    row.version += 1;
    row.searched = null;
    this.#count(row);
    if (row.kind === "tool" && row.name !== "") this.tools.add(row.name);
    else if (row.kind === "llm") this.models.add(modelOf(row));
    this.start = this.start === 0 ? row.start : Math.min(this.start, row.start);
    const at = parseTime(event.timestamp);
    this.end = Math.max(this.end, at);
    this.stop = stopAfter(this.stop, event, at);
    if (row.kind === "llm" && row.ended === event) {
      this.tokens += tokensOf(event);
      const cost = possibleDuration(event.details["gen_ai.usage.cost"]);
      if (cost !== null) this.cost = (this.cost ?? 0) + cost;
    }
    const budget = row.kind === "budget" ? budgetOf(event) : null;
    if (budget !== null) this.budgets.set(budget.label, budget);
  }

  /** @param {Row} row */
  #count(row) {
    const { counted: before } = row;
    const isAsked = row.kind === "approval" && row.isOpen;
    const now = { kind: row.kind, status: row.status, isOpen: row.isOpen && SPAN_KINDS.has(row.kind), isAsked };
    if (before !== null) {
      if (before.kind !== now.kind) this.renamed += 1;
      count(this.rowsByKind, before.kind, -1);
      count(this.rowsByStatus, before.status, -1);
    }
    this.openCalls += Number(now.isOpen) - Number(before?.isOpen ?? false);
    this.openApprovals += Number(now.isAsked) - Number(before?.isAsked ?? false);
    count(this.rowsByKind, now.kind);
    count(this.rowsByStatus, now.status);
    row.counted = now;
  }
}

/** @param {TraceEvent} event */
function tokensOf({ details }) {
  const told = [details["gen_ai.usage.input_tokens"], details["gen_ai.usage.output_tokens"]];
  return told.reduce((/** @type {number} */ sum, number) => sum + (possibleDuration(number) ?? 0), 0);
}

/**
 * @param {Map<string, number>} counts
 * @param {string} key
 * @param {number} [change]
 */
function count(counts, key, change = 1) {
  counts.set(key, (counts.get(key) ?? 0) + change);
}
