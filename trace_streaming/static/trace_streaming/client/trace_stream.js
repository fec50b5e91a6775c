// A trace's events, each once and in order, over any number of connections. docs/viewer.md says how to use it,
// docs/protocol.md what is spoken.

import { parseExact, stringifyExact } from "./exact_json.js";

const SUBPROTOCOL = "trace-stream.v1";
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
/** How long a new connection may take to say its first frame. */
const ANSWER_MS = 15_000;
/** A plain connection that is silent for so long is asked whether it lives; one of v1 after two missed heartbeats. */
const SILENCE_MS = 30_000;
/** How long a connection that was asked may take to answer. */
const PROBE_MS = 5000;
/** Received bytes are acknowledged together, but no later than this. */
const ACKNOWLEDGE_MS = 1000;
/** Of the server's window, so that it never has to wait for an acknowledgement. */
const ACKNOWLEDGED_SHARE = 1 / 8;

const TOO_MANY = 4029;
/** @param {number} code */
const isFinal = (code) => code >= 4400 && code < 4500;

/** The server will not let this client watch: thrown by the iterator, and the `detail` of the event `refused`. */
export class TraceRefusedError extends Error {
  /**
   * @param {number} code the close code, 4400 to 4499
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "TraceRefusedError";
    this.code = code;
  }
}

/** The server did not carry out a command. */
export class TraceCommandError extends Error {
  /**
   * @param {number} code as of the protocol's close codes
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "TraceCommandError";
    this.code = code;
  }
}

/**
 * Watches one trace from its creation until `close()`, until the server refuses it, or until the trace has ended and
 * the connection is gone. Dispatches `CustomEvent`s: `connected`, `events`, `live`, `gap`, `ended`, `error`,
 * `refused` and `statechange`; see trace_stream.d.ts for their details.
 */
export class TraceStream extends EventTarget {
  #url;
  #ticket;
  /** @type {(text: string) => any} */
  #parse;
  #state = "connecting";
  /** The socket in use, or whatever stands for the attempt to get one; who finds another here was overtaken. */
  #current = /** @type {any} */ (null);
  #profile = /** @type {"v1" | "plain" | null} */ (null);
  #speaksV1 = false;
  #failures = 0;
  #attempts = 0;
  #retryAt = /** @type {number | null} */ (null);
  #retryTimer = /** @type {any} */ (undefined);
  #silenceTimer = /** @type {any} */ (undefined);
  #silenceMs = ANSWER_MS;
  #probed = false;

  #position = /** @type {number | null} */ (null);
  #epoch = /** @type {string | null} */ (null);
  /** As the server says; it becomes ours when it is certain that `position` is of that life. */
  #serverEpoch = /** @type {string | null} */ (null);
  #head = 0;
  /** The newest event of a life whose epoch is not known: asked for again, it tells whether that life goes on. */
  #last = /** @type {any} */ (null);
  #overlaps = false;

  #window = 0;
  #unacknowledged = 0;
  #acknowledgeTimer = /** @type {any} */ (undefined);
  #commands = new Map();
  #commandId = 0;
  #dispatched = /** @type {Event | null} */ (null);
  #complaint = "";
  #refusal = /** @type {TraceRefusedError | null} */ (null);

  /**
   * @param {string | URL} url of the socket; relative to the page, http and https stand for ws and wss
   * @param {import("./trace_stream.d.ts").TraceStreamOptions} [options]
   */
  constructor(url, { since, events, status, ticket, exactIntegers = false } = {}) {
    super();
    this.#url = new URL(url, globalThis.document?.baseURI);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (events?.length) this.#url.searchParams.set("events", [...events].join());
    if (status?.length) this.#url.searchParams.set("status", [...status].join());
    this.#parse = exactIntegers ? parseExact : JSON.parse;
    this.#position = since ?? null;
    this.#ticket = ticket;
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
    this.#connect();
  }

  /** `connecting`, `replaying`, `live`, `reconnecting`, `ended`, `refused` or `closed`. */
  get state() {
    return this.#state;
  }
  /** Sequence of the last event received; null until it is known where a live-only stream begins. */
  get position() {
    return this.#position;
  }
  /** Which life of the trace `position` belongs to; null until the trace has begun. */
  get epoch() {
    return this.#epoch;
  }
  /** Sequence of the newest event, as the server last said. */
  get head() {
    return Math.max(this.#head, this.#position ?? 0);
  }
  /** `v1` or `plain`; null while there is no connection. */
  get profile() {
    return this.#profile;
  }
  /** When the next attempt to connect is due, in milliseconds as of `Date.now()`; null when none is waited for. */
  get retryAt() {
    return this.#retryAt;
  }

  /** Ends the stream: nothing is delivered after this, not even to the listeners that come after the caller. */
  close() {
    if (this.#state === "closed") return;
    this.#dispatched?.stopImmediatePropagation();
    this.#leave(1000);
    this.#setState("closed");
  }

  /** Asks the server whether the connection lives: one that does not answer is left, and another one made. */
  ping() {
    if (this.#profile !== null && !this.#probed) this.#probe();
  }

  /**
   * Sends a command of `trace-stream.v1`.
   *
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<any>} the server's `result`; rejects with a `TraceCommandError`, or when the connection is gone
   */
  command(type, fields = {}) {
    if (this.#profile !== "v1") return Promise.reject(new Error("Not connected"));
    const id = ++this.#commandId;
    return new Promise((resolve, reject) => {
      this.#commands.set(id, { resolve, reject });
      this.#send({ ...fields, type, id });
    });
  }

  /** The events, one by one, until the trace ends; leaving the loop closes the stream. */
  async *[Symbol.asyncIterator]() {
    /** @type {any[][]} */
    const batches = [];
    let wake = () => {};
    const take = (/** @type {any} */ { detail }) => {
      batches.push(detail);
      wake();
    };
    const look = () => wake();
    this.addEventListener("events", take);
    this.addEventListener("statechange", look);
    try {
      for (;;) {
        for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
          for (const event of batch) {
            if (this.#state === "closed") return;
            yield event;
          }
        }
        if (this.#state === "refused") throw this.#refusal;
        if (this.#state === "ended" || this.#state === "closed") return;
        await new Promise((resolve) => {
          wake = () => resolve(undefined);
        });
      }
    } finally {
      this.removeEventListener("events", take);
      this.removeEventListener("statechange", look);
      this.close();
    }
  }

  // Connecting

  async #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#retryAt = null;
    const attempt = (this.#current = {});
    this.#expectSomething(ANSWER_MS);
    try {
      const url = await this.#address();
      if (this.#current === attempt) this.#open(url);
    } catch (error) {
      if (this.#current !== attempt) return;
      this.#dispatch("error", { code: null, message: `No ticket: ${error}` });
      this.#lost(null);
    }
  }

  async #address() {
    const url = new URL(this.#url);
    this.#overlaps = this.#epoch === null && this.#last !== null;
    if (this.#position !== null) url.searchParams.set("since", String(this.#position - (this.#overlaps ? 1 : 0)));
    if (this.#epoch !== null) url.searchParams.set("epoch", this.#epoch);
    if (this.#ticket) url.searchParams.set("ticket", await this.#ticket());
    return url;
  }

  /** @param {URL} url */
  #open(url) {
    // A browser does not say why a handshake failed: it may be a server that does not know v1.
    const plain = !this.#speaksV1 && this.#failures % 2 === 1;
    const socket = plain ? new WebSocket(url) : new WebSocket(url, [SUBPROTOCOL]);
    let first = true;
    this.#current = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#profile = socket.protocol === SUBPROTOCOL ? "v1" : "plain";
      this.#speaksV1 ||= this.#profile === "v1";
    };
    socket.onmessage = ({ data }) => {
      this.#expectSomething(this.#silenceMs);
      let frame;
      try {
        frame = this.#profile === "v1" ? this.#parse(data) : fromPlain(data, first, this.#parse);
      } catch {
        return this.#lost(null);
      }
      first = false;
      this.#unacknowledged += data.length;
      this.#receive(frame);
    };
    socket.onclose = ({ code }) => {
      if (this.#profile === null) this.#failures += 1;
      this.#lost(code);
    };
  }

  /**
   * The connection, or the attempt to get one, is gone.
   *
   * @param {number | null} code
   */
  #lost(code) {
    this.#leave();
    if (code !== null && isFinal(code)) {
      this.#refusal = new TraceRefusedError(code, this.#complaint || `The server closed the connection (${code})`);
      this.#stopListening();
      this.#setState("refused");
      this.#dispatch("refused", this.#refusal);
      return;
    }
    if (this.#state === "ended") return this.#stopListening();
    // Full jitter: clients that lost their server together come back apart.
    const ceiling = code === TOO_MANY ? MAX_DELAY_MS : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    const delay = Math.random() * ceiling;
    this.#retryAt = Date.now() + delay;
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
    this.#setState(this.#state === "connecting" ? "connecting" : "reconnecting");
  }

  /** @param {number} [code] */
  #leave(code) {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    clearTimeout(this.#acknowledgeTimer);
    this.#retryTimer = this.#acknowledgeTimer = undefined;
    this.#retryAt = null;
    const socket = this.#current;
    this.#current = this.#profile = null;
    if (typeof socket?.close === "function") {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    }
    for (const { reject } of this.#commands.values()) reject(new Error("The connection is gone"));
    this.#commands.clear();
    if (code !== undefined) this.#stopListening();
  }

  #stopListening() {
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
  }

  // Silence

  /** @param {number} milliseconds */
  #expectSomething(milliseconds) {
    this.#probed = false;
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(this.#probe, milliseconds);
  }

  /** Silent for too long: it may be the network that has forgotten us. */
  #probe = () => {
    if (this.#probed || this.#profile === null) return this.#lost(null);
    this.#expectSomething(PROBE_MS);
    this.#probed = true;
    this.#send({ type: "ping" });
  };

  /** The network is back, or the page is looked at again: neither waits for a timer. */
  #wake = () => {
    if (globalThis.document?.hidden) return;
    if (this.#retryTimer !== undefined) this.#connect();
    else this.ping();
  };

  // Frames

  /** @param {any} frame */
  #receive(frame) {
    switch (frame.type) {
      case "connected":
        return this.#begin(frame);
      case "events":
        return this.#take(frame.events);
      case "live":
        this.#attempts = 0;
        this.#setState("live");
        return this.#dispatch("live", { sequence: frame.sequence });
      case "gap":
        return this.#skip(frame);
      case "delta":
        return this.#dispatch("delta", { call_id: frame.call_id, offset: frame.offset, text: frame.text });
      case "heartbeat":
        this.#head = frame.sequence;
        return undefined;
      case "ended":
        this.#setState("ended");
        return this.#dispatch("ended", { state: frame.state, sequence: frame.sequence });
      case "result":
        return this.#answer(frame, "resolve", frame);
      case "error":
        if (frame.id != null) {
          return this.#answer(frame, "reject", new TraceCommandError(frame.code, frame.message));
        }
        this.#complaint = frame.message;
        return this.#dispatch("error", { code: frame.code, message: frame.message });
    }
  }

  /** @param {any} connected */
  #begin(connected) {
    const { trace_id, epoch, sequence, state = null, heartbeat_seconds, window } = connected;
    this.#silenceMs = heartbeat_seconds ? heartbeat_seconds * 2500 : SILENCE_MS;
    this.#window = window ?? 0;
    this.#unacknowledged = 0;
    this.#head = sequence;
    this.#complaint = "";
    this.#position ??= sequence;
    // Of a life that is not known to go on, the epoch is learnt when its last event has come again.
    if (!this.#overlaps && this.#epoch === null) this.#epoch = epoch;
    this.#serverEpoch = epoch;
    this.#expectSomething(this.#silenceMs);
    this.#setState("replaying");
    this.#dispatch("connected", { trace_id, epoch, sequence, state, profile: this.#profile });
    this.#goLiveIfPlain();
  }

  /** @param {any[]} events */
  #take(events) {
    if (this.#overlaps && events.length > 0) {
      this.#overlaps = false;
      if (!isSame(events[0], this.#last)) return this.#beginAgain();
      this.#epoch = this.#serverEpoch;
    }
    const fresh = events.filter(({ sequence }) => sequence > (this.#position ?? 0));
    if (fresh.length > 0) {
      this.#last = this.#epoch === null ? fresh[fresh.length - 1] : null;
      this.#position = fresh[fresh.length - 1].sequence;
      if (this.#state === "ended") this.#setState("live");
      this.#dispatch("events", fresh);
    }
    this.#acknowledgeSoon();
    this.#goLiveIfPlain();
  }

  /** The trace was deleted and began again while we were away, and the server could not know what we had seen. */
  #beginAgain() {
    const gap = { from: 1, to: this.#position ?? 0, reason: "epoch", epoch: this.#serverEpoch };
    this.#leave();
    this.#skip(gap);
    if (this.#state !== "closed") this.#connect();
  }

  /** @param {any} gap */
  #skip(gap) {
    const { from, to, reason, epoch = null } = gap;
    this.#last = null;
    this.#overlaps = false;
    if (reason === "epoch") {
      this.#position = 0;
      this.#epoch = epoch;
      if (this.#state === "ended") this.#setState("live");
    } else {
      this.#position = Math.max(this.#position ?? 0, to);
      this.#epoch ??= this.#serverEpoch;
    }
    this.#dispatch("gap", { from, to, reason, epoch });
  }

  /** The plain profile does not say when the replay is done. */
  #goLiveIfPlain() {
    if (this.#profile !== "plain" || this.#state !== "replaying") return;
    const isFiltered = this.#url.searchParams.has("events") || this.#url.searchParams.has("status");
    if (isFiltered || this.head === this.#position) this.#receive({ type: "live", sequence: this.#position });
  }

  #acknowledgeSoon() {
    if (this.#profile !== "v1") return;
    if (this.#unacknowledged >= this.#window * ACKNOWLEDGED_SHARE) return this.#acknowledge();
    this.#acknowledgeTimer ??= setTimeout(() => this.#acknowledge(), ACKNOWLEDGE_MS);
  }

  #acknowledge() {
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    this.#unacknowledged = 0;
    this.#send({ type: "ack", sequence: this.#position });
  }

  /**
   * @param {any} frame
   * @param {"resolve" | "reject"} outcome
   * @param {unknown} value
   */
  #answer(frame, outcome, value) {
    this.#commands.get(frame.id)?.[outcome](value);
    this.#commands.delete(frame.id);
  }

  /** @param {any} command */
  #send(command) {
    if (this.#current?.readyState !== 1) return; // it is closing; the close event follows
    this.#current.send(this.#profile === "v1" ? stringifyExact(command) : command.type);
  }

  /** @param {string} state */
  #setState(state) {
    if (this.#state === state && this.#retryAt === null) return;
    this.#state = state;
    this.#dispatch("statechange", { state, retryAt: this.#retryAt });
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #dispatch(type, detail) {
    if (this.#state === "closed" && type !== "statechange") return;
    const outer = this.#dispatched;
    this.#dispatched = new CustomEvent(type, { detail });
    this.dispatchEvent(this.#dispatched);
    this.#dispatched = outer;
  }
}

/**
 * A frame of the plain profile as one of v1.
 *
 * @param {string} data
 * @param {boolean} first
 * @param {(text: string) => any} parse
 */
function fromPlain(data, first, parse) {
  if (data === "pong") return { type: "pong" };
  const message = parse(data);
  if (first) return { ...message, type: message.event };
  if (message.sequence !== undefined) return { type: "events", events: [message] };
  return { ...message.details, type: message.event };
}

/**
 * @param {any} event
 * @param {any} other
 */
function isSame(event, other) {
  return event.sequence === other.sequence && event.timestamp === other.timestamp && event.event === other.event;
}
