// What a row says on one line.

import { OUTCOMES } from "../client/spans.js";
import { cut, formatName, formatNumber, oneLine } from "./format.js";

/** @typedef {import("./row.js").Row} Row */

/** What is shown elsewhere, or is of no use to a reader. */
const APART = new Set([
  ...["tool", "tool_name", "duration_ms", "call_id", "parent_call_id", "args", "arguments", "result", "error"],
  ...["agent_selected", "reasoning", "goal", "approval_id", "name", "outcome", "error_type", "traceback"],
  ...["gen_ai.agent.name", "gen_ai.conversation.id"],
]);

/** As the server keeps of a tool's name. */
const LONGEST_NAME = 200;

/** Of what a call says: its end is what is new. */
const LONGEST_SAID = 160;

const DECISIONS = {
  approved: "Approved",
  rejected: "Rejected",
  edited: "Approved with changes",
  responded: "Answered",
};

/**
 * @param {Row} row
 * @returns {string}
 */
export function label(row) {
  const { details } = row;
  const name = row.gap === null ? cut(row.name, LONGEST_NAME).replaceAll("\0", "\ufffd") : "";
  switch (row.kind) {
    case "tool":
      return name || "Tool call";
    case "llm":
      return name || "Model call";
    case "agent":
      return name || "Agent";
    case "step":
      return name || (typeof details.kind === "string" && details.kind !== "" ? formatName(details.kind) : "Step");
    case "plan":
      return "Plan";
    case "route":
      return typeof details.agent_selected === "string" ? `Route to ${oneLine(details.agent_selected, 60)}` : "Route";
    case "approval":
      return row.first.event === "approval_requested" ? "Approval" : formatName(row.first.event);
    case "gap":
      return gapText(/** @type {any} */ (row.gap));
    default:
      return formatName(row.first.event);
  }
}

/**
 * @param {Row} row
 * @returns {string}
 */
export function preview(row) {
  if (row.kind === "gap") return "";
  const { details } = row;
  if (row.isOpen && row.said !== "") return `\u2192 ${oneLine(row.said.slice(-LONGEST_SAID))}`;
  if (row.kind === "llm") return ofModel(details);
  const said = [];
  const main = details.goal ?? details.reasoning ?? details.args ?? details.arguments;
  if (main !== undefined && !isEmpty(main)) said.push(oneLine(main));
  if (row.kind === "approval") said.unshift(oneLine(details.action ?? details.tool_name ?? details.tool ?? ""));
  for (const [key, value] of Object.entries(details)) {
    if (said.join().length > 240) break;
    if (!APART.has(key)) said.push(`${key} ${oneLine(value, 80)}`);
  }
  const outcome = details.error ?? details.result;
  if (outcome !== undefined) said.push(`→ ${oneLine(outcome)}`);
  return said.filter(Boolean).join("  ·  ").replace("  ·  →", "  →");
}

/**
 * What a model's call has used, and what came of it.
 *
 * @param {Record<string, any>} details
 */
function ofModel(details) {
  const [input, output, cost] = ["input_tokens", "output_tokens", "cost"].map(
    (name) => details[`gen_ai.usage.${name}`],
  );
  const isNumber = (/** @type {unknown} */ value) => typeof value === "number" && Number.isFinite(value);
  const said = [];
  if (isNumber(input) || isNumber(output)) {
    const [sent, got] = [input, output].map((tokens) => (isNumber(tokens) ? formatNumber(tokens) : "?"));
    said.push(`${sent} → ${got} tokens`);
  }
  if (isNumber(cost)) said.push(`$${Number(cost.toPrecision(3))}`);
  const answer = details.error ?? details["gen_ai.output.messages"]?.at?.(-1)?.parts?.map?.(textOf) ?? details.result;
  const text =
    answer === undefined ? "" : `→ ${oneLine(Array.isArray(answer) ? answer.filter(Boolean).join(" ") : answer)}`;
  const used = said.join("  ·  ");
  return text === "" || text === "→ " ? used : `${used}  ${text}`.trim();
}

/** @param {any} part of a message */
const textOf = (part) => part?.content ?? part?.name ?? part?.type ?? "";

/**
 * The status in words; of an approval what became of it, of a call that nothing ended that it is not known.
 *
 * @param {Row} row
 * @param {boolean} hasEnded whether the trace has
 * @returns {{status: string, text: string}}
 */
export function outcome(row, hasEnded) {
  if (row.kind === "gap") return { status: "warning", text: "Missing" };
  if (row.isOpen && hasEnded) return { status: "warning", text: row.isSpan ? "Unfinished" : "Undecided" };
  if (row.kind === "approval") return { status: row.isOpen ? "pending" : row.status, text: decision(row) };
  return { status: row.status, text: formatName(OUTCOMES.has(row.outcome) ? row.outcome : row.status) };
}

/**
 * Whether nothing more becomes of a row. An approval of a trace that was left unfinished can still be decided.
 *
 * @param {Row} row
 * @param {{hasEnded: boolean, isUnfinished: boolean}} scene
 */
export function isOver(row, { hasEnded, isUnfinished }) {
  return hasEnded && !(row.kind === "approval" && isUnfinished);
}

/** @param {Row} row */
function decision(row) {
  if (row.isOpen) return "Waiting";
  if (row.last.event === "approval_timeout") return "Timed out";
  const { decision } = row.last.details;
  return /** @type {any} */ (DECISIONS)[/** @type {any} */ (decision)] ?? "Decided";
}

/** @param {{from: number, to: number, reason: string}} gap */
function gapText({ from, to, reason }) {
  if (reason === "epoch") return "The trace was deleted. What follows, if anything, is a new run under the same id.";
  return from === to ? `Event ${from} is no longer stored.` : `Events ${from} to ${to} are no longer stored.`;
}

/** @param {unknown} value */
function isEmpty(value) {
  return value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
}
