export * from "./viewer/trace_viewer.js";
