// What is known of one trace at a moment, for whoever draws it anew when it has changed: React and its like.

import { Span, Spans } from "./spans.js";
import { TraceStream } from "./trace_stream.js";

/** @typedef {import("./trace_stream.d.ts").TraceEvent} TraceEvent */
/** @typedef {import("./trace_stream.d.ts").TraceGap} TraceGap */
/** @typedef {import("./trace_stream.d.ts").TraceStreamOptions} TraceStreamOptions */
/** @typedef {import("./trace_stream.d.ts").TraceStreamState} TraceStreamState */

/**
 * What an agent asks, and nobody has answered yet; what else its event tells is among them.
 *
 * @typedef {Record<string, unknown> & {approval_id: string}} OpenApproval
 */

/**
 * What is known of a trace; another object whenever something of it has changed.
 *
 * @typedef {object} Snapshot
 * @property {readonly TraceEvent[]} events all that were received, in order
 * @property {boolean} isConnected whether there is a connection that says what happens
 * @property {TraceStreamState | "idle"} state of the connection; `idle` before the first
 * @property {Error | null} error what went wrong last; null once it has been mended
 * @property {"success" | "error" | "incomplete" | null} endState once the trace has ended
 * @property {readonly Span[]} spans those that are inside of no other; others are in their `inside`
 * @property {Readonly<Record<string, string>>} deltas what calls of models that still run have said until now, by call id
 * @property {readonly OpenApproval[]} approvals
 * @property {readonly TraceGap[]} gaps
 */

/** @type {Snapshot} */
const NOTHING = {
  events: [],
  isConnected: false,
  state: "idle",
  error: null,
  endState: null,
  spans: [],
  deltas: {},
  approvals: [],
  gaps: [],
};

export class TraceStore {
  #url;
  #options;
  #stream = /** @type {TraceStream | null} */ (null);
  #snapshot = NOTHING;
  #events = /** @type {TraceEvent[]} */ ([]);
  #gaps = /** @type {TraceGap[]} */ ([]);
  #spans = new Spans(() => new Span());
  #said = /** @type {Map<string, {text: string, until: number}>} */ (new Map());
  #error = /** @type {Error | null} */ (null);
  #endState = /** @type {Snapshot["endState"]} */ (null);
  /** Up to where, and of which life, an earlier connection has told. */
  #place = /** @type {{position: number, epoch: string | null} | null} */ (null);
  #listeners = /** @type {Set<() => void>} */ (new Set());
  #isStale = false;

  /**
   * @param {string | URL} url of the trace's socket
   * @param {TraceStreamOptions} [options] without `since`, all of the trace; undefined, only what comes from now on
   */
  constructor(url, options = {}) {
    this.#url = url;
    this.#options = { since: 0, ...options };
  }

  /** The same object until something has changed. @returns {Snapshot} */
  snapshot = () => this.#snapshot;

  /**
   * @param {() => void} listener called when the snapshot is another
   * @returns {() => void} no more
   */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Begin to watch, or go on where it was left off; nothing where it is connected, or comes back by itself. */
  connect = () => {
    if (this.#stream !== null && !isOver(this.#stream)) return;
    this.#remember();
    const place = this.#place;
    this.#error = null;
    const since = place === null ? this.#options.since : place.position;
    const stream = (this.#stream = new TraceStream(this.#url, { ...this.#options, since }));
    const on = /** @type {TraceStream["addEventListener"]} */ (
      (/** @type {any} */ type, /** @type {any} */ listener) =>
        stream.addEventListener(type, (/** @type {any} */ event) => {
          if (this.#stream !== stream) return;
          listener(event);
          this.#changed();
        })
    );
    on("connected", ({ detail }) => {
      // The trace was deleted, and has begun again, while nobody watched: what was told was of another life.
      if (place !== null && place.epoch !== null && detail.epoch !== place.epoch) this.#beginAnew();
    });
    on("events", ({ detail }) => this.#take(detail));
    on("delta", ({ detail }) => this.#hear(detail));
    on("gap", ({ detail }) => {
      if (detail.reason === "epoch") this.#forget();
      this.#gaps = [...this.#gaps, detail];
    });
    on("live", () => {
      this.#error = null;
    });
    on("ended", ({ detail }) => {
      this.#endState = detail.state;
    });
    on("error", ({ detail }) => {
      this.#error = new Error(detail.message);
    });
    on("refused", ({ detail }) => {
      this.#error = detail;
    });
    on("statechange", () => {});
    this.#changed();
  };

  /** Stop watching; what is known stays. */
  disconnect = () => {
    if (this.#stream === null) return;
    this.#stream.close();
    this.#changed();
  };

  /** Forget the events that were received, and go on. */
  clearEvents = () => {
    this.#forget();
    this.#changed();
  };

  /** Ask the server whether the connection lives; it is left, and another made, where no answer comes. */
  sendPing = () => {
    this.#stream?.ping();
  };

  /**
   * Send a command of `trace-stream.v1`, such as `stop`.
   *
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<any>} the result; rejects with a `TraceCommandError`, or when there is no connection
   */
  command = (type, fields) => this.#stream?.command(type, fields) ?? Promise.reject(new Error("Not connected"));

  /**
   * Decide what an agent asks, bound to the arguments that were shown.
   *
   * @param {string} approvalId
   * @param {"approved" | "rejected" | "edited" | "responded"} decision
   * @param {{comment?: string, edited?: Record<string, unknown>, arguments_hash?: string}} [fields]
   * @returns {Promise<any>} the result; rejects with a `TraceCommandError`
   */
  decide = (approvalId, decision, fields = {}) => {
    const shown = this.#snapshot.approvals.find(({ approval_id }) => approval_id === approvalId);
    const bound = { arguments_hash: shown?.arguments_hash, ...fields };
    return this.command("decide", { ...bound, approval_id: approvalId, decision });
  };

  /** Where to go on after this connection. */
  #remember() {
    const { position = null, epoch } = this.#stream ?? {};
    if (position !== null) this.#place = { position, epoch: epoch ?? this.#place?.epoch ?? null };
  }

  #beginAnew() {
    this.#stream?.close();
    this.#stream = this.#place = null;
    this.#forget();
    this.connect();
  }

  #forget() {
    this.#events = [];
    this.#gaps = [];
    this.#spans = new Spans(() => new Span());
    this.#said = new Map();
    this.#endState = null;
  }

  /** @param {TraceEvent[]} events */
  #take(events) {
    this.#endState = null;
    this.#events = this.#events.concat(events);
    for (const event of events) {
      const span = this.#spans.add(event)?.span;
      if (span?.callId && span.outcome !== "open") this.#said.delete(span.callId);
    }
  }

  /** @param {{call_id: string, offset: number, text: string}} delta */
  #hear({ call_id, offset, text }) {
    const { text: before, until } = this.#said.get(call_id) ?? { text: "", until: 0 };
    if (offset < until || this.#spans.ofCall(call_id)?.outcome !== "open") return;
    this.#said.set(call_id, { text: (offset > until ? "… " : before) + text, until: offset + text.length });
  }

  /** What changes at once is told once. */
  #changed() {
    if (this.#isStale) return;
    this.#isStale = true;
    queueMicrotask(() => {
      this.#isStale = false;
      this.#snapshot = this.#made();
      for (const listener of this.#listeners) listener();
    });
  }

  /** @returns {Snapshot} */
  #made() {
    const state = this.#stream?.state ?? "idle";
    const spans = this.#spans;
    const before = this.#snapshot;
    const isSame = before.events === this.#events;
    return {
      events: this.#events,
      isConnected: state === "live" || state === "replaying",
      state,
      error: this.#error,
      endState: this.#endState,
      spans: isSame ? before.spans : spans.roots,
      deltas: Object.fromEntries([...this.#said].map(([callId, { text }]) => [callId, text])),
      approvals: isSame ? before.approvals : openApprovals(spans.ordered),
      gaps: this.#gaps,
    };
  }
}

/** Whether it makes no connection any more; of a trace that has ended, one may be there yet. @param {TraceStream} stream */
const isOver = ({ state, profile }) => profile === null && ["closed", "refused", "ended"].includes(state);

/** @param {Span[]} spans @returns {OpenApproval[]} */
function openApprovals(spans) {
  return spans
    .filter(({ kind, outcome }) => kind === "approval" && outcome === "open")
    .map(({ events }) => /** @type {OpenApproval} */ (events[0].details))
    .filter(({ approval_id }) => typeof approval_id === "string");
}
