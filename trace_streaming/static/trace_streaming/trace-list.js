export * from "./list/trace_list.js";
