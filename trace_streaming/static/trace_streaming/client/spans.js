// Which events of a trace belong together, and inside of what. The twin of `trace_streaming.events.pairs` and `.spans`,
// which say the rule; both run one table of cases.

/** @typedef {import("./trace_stream.d.ts").TraceEvent} TraceEvent */

/** What the names of events begin with, and the kind of span that they tell of. */
const FAMILIES = new Map([
  ["tool_call", "tool"],
  ["llm_call", "llm"],
  ["agent", "agent"],
  ["step", "step"],
]);
export const SPAN_KINDS = new Set(FAMILIES.values());
/** `details.outcome` of what neither succeeded nor failed. */
export const OUTCOMES = new Set(["interrupted", "cancelled", "abandoned", "triggered"]);
const SINGLE = new Map([
  ["plan_created", "plan"],
  ["route_decision", "route"],
  ["budget_warning", "budget"],
  ["budget_exceeded", "budget"],
]);
const APPROVALS = new Set(["approval_requested", "approval_received", "approval_timeout"]);
const NAME = ["tool", "tool_name", "name"];
/** @type {Map<string, string[][]>} where a span of each kind has its name; the second only where no event has the first */
const NAMES = new Map([
  ["tool", [NAME, ["gen_ai.tool.name"]]],
  ["llm", [NAME, ["gen_ai.request.model", "gen_ai.response.model"]]],
  ["agent", [NAME, ["gen_ai.agent.name"]]],
  ["step", [NAME]],
  ["approval", [["action", "tool", "tool_name"]]],
  ["route", [["agent_selected"]]],
  ["budget", [["budget"]]],
]);
/** Milliseconds, 31,000 years: what is longer was counted in another unit. */
const LONGEST = 1e15;
/** Milliseconds since 1970: the first year. */
const EARLIEST = -62135596800000;

/**
 * What an event is of its span, by its name.
 *
 * @param {string} name
 * @returns {{kind: string, begins: boolean, ends: boolean}}
 */
export function partOf(name) {
  if (APPROVALS.has(name)) {
    const begins = name === "approval_requested";
    return { kind: "approval", begins, ends: !begins };
  }
  const [, family, what] = /^(.*)_(start|complete|error)$/.exec(name) ?? [];
  const kind = FAMILIES.get(family);
  if (kind !== undefined) return { kind, begins: what === "start", ends: what !== "start" };
  return { kind: SINGLE.get(name) ?? "event", begins: false, ends: false };
}

/**
 * Whether a start says that its span is inside of another than was told: then it begins nothing.
 *
 * @param {TraceEvent} event
 */
function isMove({ event, details }) {
  return partOf(event).begins && details.moved === true;
}

/**
 * What a start and its end have in common.
 *
 * @param {string} kind
 * @param {Record<string, unknown>} details
 */
function pairKey(kind, details) {
  if (kind === "approval") {
    const given = idText(details.approval_id);
    return given === null ? `approval tool:${firstText(details, ["tool", "tool_name"])}` : `approval id:${given}`;
  }
  const given = idText(details.call_id);
  if (given !== null) return `id:${given}`;
  return `${kind}:${firstText(details, kind === "tool" ? ["tool", "tool_name"] : ["name"])}`;
}

/**
 * An id as text: of a text or of a whole number; null for what is none.
 *
 * @param {unknown} value
 */
export function idText(value) {
  if (typeof value === "string") return value;
  return typeof value === "bigint" || Number.isSafeInteger(value) ? String(value) : null;
}

/**
 * @param {Record<string, unknown>} details
 * @param {readonly string[]} keys
 * @returns {string} the first of these that is a text, and not empty
 */
function firstText(details, keys) {
  for (const key of keys) {
    const value = details[key];
    if (typeof value === "string" && value !== "") return value;
  }
  return "";
}

/**
 * A duration as the server takes it, 0 to 10^15 ms; null for what cannot be one.
 *
 * @param {unknown} milliseconds
 */
export function possibleDuration(milliseconds) {
  return typeof milliseconds === "number" && milliseconds >= 0 && milliseconds <= LONGEST ? milliseconds : null;
}

/**
 * Milliseconds since 1970, with microseconds as a fraction.
 *
 * @param {string} timestamp as the protocol has it, with six digits
 */
export function parseTime(timestamp) {
  return Date.parse(timestamp) + Number(timestamp.slice(23, 26)) / 1000;
}

/** A call, an agent, a step or an approval with its events; or an event that is none of these. */
export class Span {
  /** @type {TraceEvent[]} in the order in which they came */
  events = [];
  /** @type {TraceEvent[]} of these, those that say what it is inside of now */
  moves = [];
  /** @type {TraceEvent | null} */
  begun = null;
  /** @type {TraceEvent | null} */
  ended = null;
  /** @type {this | null} */
  parent = null;
  /** @type {this[]} those inside of it, in their order */
  inside = [];
  depth = 0;
  /** Which of all it was, when its first event came. */
  arrival = 0;
  /** Milliseconds since 1970, as it is told; where no start is, so long before the end as that says. */
  start = 0;

  /** `tool`, `llm`, `agent`, `step`, `approval`; `plan`, `route`, `budget` or `event`: no span. */
  get kind() {
    return partOf((this.ended ?? this.events[0]).event).kind;
  }

  /** Of the tool, the model, the agent or the step; of an approval its action. */
  get name() {
    for (const keys of NAMES.get(this.kind) ?? []) {
      for (const { details } of this.byWeight) {
        const told = firstText(details, keys);
        if (told !== "") return told;
      }
    }
    return "";
  }

  /** Of a span that others may be inside of; null of what is none. */
  get callId() {
    return SPAN_KINDS.has(this.kind) ? idText(this.events[0].details.call_id) : null;
  }

  /** `parent_call_id`, which counts most where it says that it was moved, the newest first; null where it names none. */
  get parentId() {
    const told = this.moves.length > 0 ? [...[...this.moves].reverse(), ...this.byWeight] : this.byWeight;
    for (const { details } of told) {
      const id = idText(details.parent_call_id);
      if (id) return id;
    }
    return null;
  }

  /** `ok`, `error`, one of `OUTCOMES`, or another status; `open` where nothing has ended it; empty for what does not last. */
  get outcome() {
    if (this.ended === null) return this.begun === null ? "" : "open";
    const { details, status } = this.ended;
    if (OUTCOMES.has(/** @type {any} */ (details.outcome))) return String(details.outcome);
    return status === "success" ? "ok" : status;
  }

  /** Milliseconds: what the end says, or else the time between; null where that is below nothing, or nobody knows. */
  get duration() {
    if (this.ended === null) return null;
    const told = possibleDuration(this.ended.details.duration_ms);
    if (told !== null || this.begun === null) return told;
    const elapsed = parseTime(this.ended.timestamp) - this.start;
    return elapsed >= 0 ? elapsed : null;
  }

  /** Its events, those first whose word counts more. */
  get byWeight() {
    return this.ended === null ? this.events : [this.ended, ...this.events.filter((event) => event !== this.ended)];
  }

  /** @param {TraceEvent} event */
  take(event) {
    const { begins, ends } = partOf(event.event);
    this.events.push(event);
    if (isMove(event)) this.moves.push(event);
    else if (begins) this.begun ??= event;
    if (ends) this.ended = event;
    this.start = parseTime((this.begun ?? this.events[0]).timestamp);
    if (this.begun === null && this.ended !== null) {
      const start = this.start - (possibleDuration(this.ended.details.duration_ms) ?? 0);
      if (start >= EARLIEST) this.start = start;
    }
  }
}

/**
 * The spans of one trace; fed with its events in the order in which they come, each as often as one likes.
 *
 * @template {Span} S
 */
export class Spans {
  /** @type {S[]} in the order in which they came */
  all = [];
  /** @type {S[]} in the order of the tree: each behind its parent, and behind all that is inside of an earlier sibling */
  #ordered = [];
  #isOrdered = true;
  /** @type {Map<string, S[]>} */
  #open = new Map();
  /** @type {Map<string, S[]>} ends with an id whose start has not come */
  #early = new Map();
  /** @type {Map<string, S[]>} */
  #byId = new Map();
  /** @type {Set<string>} ids of parents that were not there */
  #awaited = new Set();
  /** @type {Map<number, S>} */
  #bySequence = new Map();
  /** Counts how often the order has changed other than by what was added behind all others. */
  reordered = 0;

  /** @param {() => S} make */
  constructor(make) {
    this.make = make;
  }

  /**
   * Take an event.
   *
   * @param {TraceEvent} event
   * @returns {{span: S, isNew: boolean} | null} null for one that was there already, by its `sequence`
   */
  add(event) {
    if (this.#bySequence.has(event.sequence)) return null;
    const { kind, begins, ends } = partOf(event.event);
    const key = begins || ends ? pairKey(kind, event.details) : "";
    const hasMoved = isMove(event);
    const met = hasMoved ? this.#newest(event) : this.#met(kind, begins, ends, key);
    if (met !== null) {
      const before = `${met.start} ${met.parentId} ${met.callId}`;
      met.take(event);
      this.#bySequence.set(event.sequence, met);
      if (before !== `${met.start} ${met.parentId} ${met.callId}`) this.#isOrdered = false;
      return { span: met, isNew: false };
    }
    const span = this.make();
    span.take(event);
    this.#bySequence.set(event.sequence, span);
    if (begins && !hasMoved) wait(this.#open, key, span);
    else if (ends && /^(approval )?id:/.test(key)) wait(this.#early, key, span);
    this.#place(span);
    return { span, isNew: true };
  }

  /**
   * Add one that is made of no event, such as a gap; behind all others, as far as its start says.
   *
   * @param {S} span
   */
  addSingle(span) {
    this.#place(span);
  }

  /** @param {string} callId */
  ofCall(callId) {
    return this.#byId.get(callId)?.at(-1) ?? null;
  }

  /** @param {number} sequence */
  of(sequence) {
    return this.#bySequence.get(sequence) ?? null;
  }

  /** All, in the order of the tree. */
  get ordered() {
    if (!this.#isOrdered) this.#arrange();
    return this.#ordered;
  }

  /** Those that are inside of no other. */
  get roots() {
    return this.ordered.filter((span) => span.parent === null);
  }

  /**
   * Of several with the id of an event, the one that came last.
   *
   * @param {TraceEvent} event
   */
  #newest({ details }) {
    return this.#byId.get(idText(details.call_id) ?? "")?.at(-1) ?? null;
  }

  /**
   * The span that an event belongs to, where it is there already.
   *
   * @param {string} kind
   * @param {boolean} begins
   * @param {boolean} ends
   * @param {string} key
   */
  #met(kind, begins, ends, key) {
    if (ends) return take(this.#open, key);
    if (begins && kind === "approval" && this.#open.has(key)) return this.#open.get(key)?.[0] ?? null; // asked again
    return begins ? take(this.#early, key) : null;
  }

  /**
   * Put a new one in its place: at once where that is behind all others, as it is where events come in order.
   *
   * @param {S} span
   */
  #place(span) {
    span.arrival = this.all.length;
    this.all.push(span);
    const callId = span.events.length > 0 ? span.callId : null;
    if (callId !== null) wait(this.#byId, callId, span);
    if (!this.#isOrdered) return;
    const parent = this.#parentOf(span);
    const before = this.#lastInside(parent);
    if ((callId !== null && this.#awaited.has(callId)) || before === undefined || span.start < before) {
      this.#isOrdered = false;
      return;
    }
    if (parent === null && span.events.length > 0 && span.parentId !== null) this.#awaited.add(span.parentId);
    span.parent = parent;
    span.depth = parent === null ? 0 : parent.depth + 1;
    parent?.inside.push(span);
    this.#ordered.push(span);
  }

  /**
   * The start of the last one inside of a span, where nothing stands behind that; undefined where something does.
   *
   * @param {S | null} parent
   */
  #lastInside(parent) {
    let last = /** @type {S | null} */ (this.#ordered[this.#ordered.length - 1] ?? null);
    if (last === parent) return -Infinity;
    while (last !== null && last.parent !== parent) last = /** @type {S | null} */ (last.parent);
    return last?.start;
  }

  /**
   * Of several with the id, the last that was there before; where there was none, the first that came.
   *
   * @param {S} span
   */
  #parentOf(span) {
    const id = span.events.length > 0 ? span.parentId : null;
    const found = id === null ? [] : (this.#byId.get(id) ?? []);
    let last = found.length - 1;
    while (last > 0 && found[last].arrival > span.arrival) last -= 1;
    const parent = found[last] ?? null;
    return parent === span ? null : parent;
  }

  /** All of it again: something came before what it is inside of, or before its time. */
  #arrange() {
    this.#byId.clear();
    this.#awaited.clear();
    for (const span of this.all) {
      span.inside = [];
      const callId = span.events.length > 0 ? span.callId : null;
      if (callId !== null) wait(this.#byId, callId, span);
    }
    for (const span of this.all) {
      span.parent = this.#parentOf(span);
      if (span.parent === null && span.events.length > 0 && span.parentId !== null) this.#awaited.add(span.parentId);
    }
    for (const span of inCircles(this.all)) span.parent = null;
    const waiting = [...this.all].sort((a, b) => a.start - b.start || a.arrival - b.arrival);
    const roots = waiting.filter((span) => {
      span.parent?.inside.push(span);
      return span.parent === null;
    });
    this.#ordered = [];
    const next = roots.reverse();
    for (let span = next.pop(); span !== undefined; span = next.pop()) {
      span.depth = span.parent === null ? 0 : span.parent.depth + 1;
      this.#ordered.push(span);
      for (let index = span.inside.length - 1; index >= 0; index--) next.push(span.inside[index]);
    }
    this.#isOrdered = true;
    this.reordered += 1;
  }
}

/**
 * Those that are their own ancestors; each is looked at once.
 *
 * @template {Span} S
 * @param {S[]} spans
 * @returns {S[]}
 */
function inCircles(spans) {
  const walked = /** @type {Map<S, S>} */ (new Map());
  const found = /** @type {S[]} */ ([]);
  for (const span of spans) {
    let above = /** @type {S | null} */ (span);
    for (; above !== null && !walked.has(above); above = above.parent) walked.set(above, span);
    if (above === null || walked.get(above) !== span) continue;
    const first = above;
    found.push(first);
    let next = /** @type {S | null} */ (first.parent);
    for (; next !== first && next !== null; next = next.parent) found.push(next);
  }
  return found;
}

/**
 * @template S
 * @param {Map<string, S[]>} waiting
 * @param {string} key
 * @param {S} span
 */
function wait(waiting, key, span) {
  const spans = waiting.get(key);
  if (spans === undefined) waiting.set(key, [span]);
  else spans.push(span);
}

/**
 * @template S
 * @param {Map<string, S[]>} waiting
 * @param {string} key
 * @returns {S | null}
 */
function take(waiting, key) {
  const spans = waiting.get(key);
  const span = spans?.shift() ?? null;
  if (spans?.length === 0) waiting.delete(key);
  return span;
}
