// Which golden signals are shown: as a tile of the whole window, and as a chart over time.

import { decimal, duration, percent } from "./formats.js";

export const TILES = [
  { name: "Success rate", of: (/** @type {any} */ it) => percent(it.success_rate) },
  { name: "Latency p95", of: (/** @type {any} */ it) => duration(it.latency.p95) },
  { name: "Tool error rate", of: (/** @type {any} */ it) => percent(it.tool_error_rate) },
  { name: "Approval wait p95", of: (/** @type {any} */ it) => duration(it.approval_wait_time.p95) },
  { name: "Steps per task", of: (/** @type {any} */ it) => decimal(it.mean_steps_per_task) },
  { name: "Budget used", of: (/** @type {any} */ it) => percent(it.budget_utilization) },
];

/** @returns {import("./chart.js").Signal[]} one for each chart, anew for each dashboard */
export const signals = () => [
  {
    ...{ title: "Success rate", format: percent, most: 1 },
    lines: [{ label: "Calls that completed", kind: "success", of: (point) => point.success_rate, isFilled: true }],
  },
  {
    ...{ title: "Tool error rate", format: percent, least: 0.05 },
    lines: [{ label: "Calls that failed", kind: "error", of: (point) => point.tool_error_rate, isFilled: true }],
  },
  {
    ...{ title: "Tool calls per minute", format: decimal, least: 1 },
    lines: [{ label: "Calls that ended", kind: "running", of: (point) => point.calls_per_minute, isFilled: true }],
  },
  {
    ...{ title: "Latency of tool calls", format: duration, least: 1 },
    lines: [
      { label: "p95", kind: "warning", of: (point) => point.latency.p95 },
      { label: "p50", kind: "running", of: (point) => point.latency.p50 },
    ],
  },
  {
    ...{ title: "Wait for approval", format: duration, least: 1000, isSparse: true },
    lines: [
      { label: "p95", kind: "warning", of: (point) => point.approval_wait_time.p95 },
      { label: "Mean", kind: "running", of: (point) => point.approval_wait_time.mean },
    ],
  },
];

/**
 * The calls of each step by its length; of one that is not over, nobody knows.
 *
 * @param {any} series
 */
export function withRates({ points, step_seconds, to }) {
  const end = Date.parse(to);
  return points.map((/** @type {any} */ point) => {
    const isOver = Date.parse(point.at) + step_seconds * 1000 <= end;
    const calls = point.total_steps + point.errors;
    return { ...point, calls_per_minute: isOver ? (calls * 60) / step_seconds : null };
  });
}
