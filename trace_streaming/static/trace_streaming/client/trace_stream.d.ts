/** One event of a trace, as the protocol documents it. */
export interface TraceEvent {
  event: string;
  trace_id: string;
  /** ISO 8601, UTC, six digits. */
  timestamp: string;
  details: Record<string, unknown>;
  status: "pending" | "running" | "success" | "warning" | "error";
  /** 1, 2, 3, … in each trace. */
  sequence: number;
  tool_name?: string;
  /** Milliseconds. */
  duration_ms?: number;
}

export interface TraceStreamOptions {
  /** Replay every event after this one, then go on live; 0 is from the start, absent is live only. */
  since?: number | undefined;
  /** Only these events. */
  events?: readonly string[];
  /** Only these statuses. */
  status?: readonly string[];
  /** Asked before every attempt to connect; sent as the query parameter `ticket`. */
  ticket?: () => string | Promise<string>;
  /** Integers of details that no number holds exactly, beyond 2^53, are BigInts; JSON.stringify refuses those. */
  exactIntegers?: boolean;
}

export type TraceStreamState = "connecting" | "replaying" | "live" | "reconnecting" | "ended" | "refused" | "closed";

export interface TraceGap {
  /** First and last number that no longer exist. */
  from: number;
  to: number;
  /** `epoch`: the trace was deleted and begins again at 1. `pruned`: its old events were deleted. */
  reason: "pruned" | "epoch";
  epoch: string | null;
}

export interface TraceStreamEventMap {
  /** A connection is there; `state` and `epoch` are null until the trace has begun, `state` always in plain. */
  connected: CustomEvent<{
    trace_id: string;
    epoch: string | null;
    sequence: number;
    state: string | null;
    profile: "v1" | "plain";
  }>;
  /** One or more events that were not seen before, in order. */
  events: CustomEvent<TraceEvent[]>;
  /** The replay is done; once for each connection. */
  live: CustomEvent<{ sequence: number }>;
  gap: CustomEvent<TraceGap>;
  /** A call's text while it streams, from `offset` on; only while live, and never in the plain profile. */
  delta: CustomEvent<{ call_id: string; offset: number; text: string }>;
  /** The trace has ended and all of it was received; never in the plain profile. */
  ended: CustomEvent<{ state: "success" | "error" | "incomplete"; sequence: number }>;
  /** What the server complains of, or a ticket that could not be had; the stream goes on by its own rules. */
  error: CustomEvent<{ code: number | null; message: string }>;
  /** The server will not let this client watch; there is no further attempt. */
  refused: CustomEvent<TraceRefusedError>;
  statechange: CustomEvent<{ state: TraceStreamState; retryAt: number | null }>;
}

export declare class TraceRefusedError extends Error {
  constructor(code: number, message: string);
  /** The close code, 4400 to 4499. */
  readonly code: number;
}

/** The server did not carry out a command. */
export declare class TraceCommandError extends Error {
  constructor(code: number, message: string);
  /** As of the protocol's close codes. */
  readonly code: number;
}

export declare class TraceStream extends EventTarget implements AsyncIterable<TraceEvent> {
  /** @param url of the socket; relative to the page, http and https stand for ws and wss */
  constructor(url: string | URL, options?: TraceStreamOptions);
  readonly state: TraceStreamState;
  /** Sequence of the last event received. */
  readonly position: number | null;
  /** Which life of the trace `position` belongs to. */
  readonly epoch: string | null;
  /** Sequence of the newest event, as the server last said. */
  readonly head: number;
  readonly profile: "v1" | "plain" | null;
  /** When the next attempt is due, as of `Date.now()`. */
  readonly retryAt: number | null;
  /** Nothing is delivered after this. */
  close(): void;
  /** Asks the server whether the connection lives: one that does not answer is left, and another one made. */
  ping(): void;
  /** Sends a command of `trace-stream.v1`; rejects with a `TraceCommandError`, or when the connection is gone. */
  command(type: string, fields?: Record<string, unknown>): Promise<any>;
  /** The events, one by one, until the trace ends; leaving the loop closes the stream. */
  [Symbol.asyncIterator](): AsyncGenerator<TraceEvent, void, undefined>;
  addEventListener<K extends keyof TraceStreamEventMap>(
    type: K,
    listener: (this: TraceStream, event: TraceStreamEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof TraceStreamEventMap>(
    type: K,
    listener: (this: TraceStream, event: TraceStreamEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
