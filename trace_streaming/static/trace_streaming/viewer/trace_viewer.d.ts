import type { TraceEvent, TraceStream, TraceStreamState } from "../client/trace_stream.js";

/** `<trace-viewer trace-id="…">`: one trace, live. */
export declare class TraceViewer extends HTMLElement {
  /** The client; null while the element is not in a document. */
  readonly stream: TraceStream | null;
  /** All events that were received, in order; do not change it. */
  readonly events: readonly TraceEvent[];
  /** Null while more is to be expected. */
  readonly endState: "success" | "error" | "incomplete" | null;
  /** Whether the newest event is kept in view. */
  readonly following: boolean;
  /** Sequence of the selected event; setting it selects and opens that event. */
  selected: number | null;
}

declare global {
  interface HTMLElementTagNameMap {
    "trace-viewer": TraceViewer;
  }
  interface HTMLElementEventMap {
    eventselect: CustomEvent<{ sequence: number | null }>;
  }
}

export type TraceViewerStateChange = CustomEvent<{ state: TraceStreamState }>;
