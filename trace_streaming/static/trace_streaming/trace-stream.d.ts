export * from "./client/trace_stream.js";
