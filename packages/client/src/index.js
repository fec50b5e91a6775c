// A trace's events, each once and in order, over any number of connections; and what belongs together of them.

export * from "./trace_stream.js";
export { Span, Spans } from "./spans.js";
export { TraceStore } from "./trace_store.js";
