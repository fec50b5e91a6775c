export * from "./dashboard/trace_dashboard.js";
