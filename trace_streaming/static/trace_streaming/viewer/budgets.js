// What an event says of a budget, in the words that callers use.

/** @typedef {import("../client/trace_stream.d.ts").TraceEvent} TraceEvent */
/** @typedef {{label: string, utilization: number, used: number | null, limit: number | null}} Budget */

/**
 * `utilization`, or `used` (`spent`) of a `limit` (`ceiling`, `total`); null where neither is told.
 *
 * @param {TraceEvent} event
 * @returns {Budget | null}
 */
export function budgetOf({ event, details }) {
  const label = [details.budget_type ?? details.budget, details.domain ?? details.tool ?? details.tool_name]
    .filter((part) => typeof part === "string" && part !== "")
    .join(" · ");
  const limit = numberOf(details.limit ?? details.ceiling ?? details.total);
  const used = numberOf(details.used ?? details.spent) ?? (event === "budget_exceeded" ? limit : null);
  const known = numberOf(details.utilization);
  const counted = used !== null && limit !== null && limit > 0 ? numberOf(used / limit) : null;
  const utilization = known ?? counted ?? (event === "budget_exceeded" ? 1 : null);
  return utilization === null ? null : { label, utilization, used, limit };
}

/** @param {unknown} value */
const numberOf = (value) => {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
};
