// What a row says on one line.

import { OUTCOMES } from "../client/spans.js";
import { withoutControls } from "./content/terminal.js";
import { imageUrl, partsIn } from "./content/parts.js";
import { cut, formatCount, formatDuration, formatName, inOrder, oneLine } from "./format.js";

/** @typedef {import("./row.js").Row} Row */

/** What is shown elsewhere, or is of no use to a reader. */
const APART = new Set([
  ...["tool", "tool_name", "duration_ms", "call_id", "parent_call_id", "args", "arguments", "result", "error"],
  ...["agent_selected", "reasoning", "goal", "approval_id", "name", "outcome", "error_type", "traceback"],
  ...["input", "gen_ai.agent.name", "gen_ai.conversation.id", "gen_ai.tool.call.id", "gen_ai.tool.name"],
  ...["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.agent.id", "gen_ai.tool.type"],
]);

const USAGE = "gen_ai.usage.";
/** Of a tool, the first of these that it has. */
const MAIN_ARGUMENTS = [
  ...[
    "command",
    "cmd",
    "query",
    "q",
    "path",
    "file_path",
    "filename",
    "url",
    "code",
    "sql",
    "prompt",
    "question",
    "text",
  ],
];

/** Bold, and code. */
const STRESS = /(\*\*|\*|`)(?=\S)([^*`\n]*[^\s*`])\1/g;
/** Characters, of what a line shows. */
const LOOKED_AT = 1000;

/** As the server keeps of a tool's name. */
const LONGEST_NAME = 200;

/** Of what a call says: its end is what is new. */
const LONGEST_SAID = 160;

/** @type {Map<unknown, string>} */
const DECISIONS = new Map([
  ["approved", "Approved"],
  ["rejected", "Rejected"],
  ["edited", "Approved with changes"],
  ["responded", "Answered"],
  ["withdrawn", "Withdrawn"],
]);

/**
 * @param {Row} row
 * @returns {string}
 */
export function label(row) {
  const { details } = row;
  const name = row.gap === null ? inOrder(cut(row.name, LONGEST_NAME)).replaceAll("\0", "\ufffd") : "";
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
 * What a reader looks for: why it failed, what a model or an agent says, a tool's main argument and its result.
 *
 * @param {Row} row
 * @returns {string}
 */
export function preview(row) {
  if (row.kind === "gap") return "";
  const { details } = row;
  const failure = failureOf(details);
  if (failure !== "") return joined([failure, row.kind === "llm" ? "" : mainOf(details)]);
  if (row.isOpen && row.said !== "") return `\u2192 ${oneLine(asRead(row.said.slice(-LONGEST_SAID)))}`;
  if (row.kind === "llm") return answerOf(details) || (row.said && `\u2192 ${oneLine(asRead(row.said))}`);
  if (row.first.event.startsWith("stop_")) {
    const { requested_by: by, comment } = details;
    return joined([by ? `by ${oneLine(by, 80)}` : "", comment ? oneLine(comment) : ""]);
  }
  const said = [mainOf(details)];
  if (row.kind === "approval") said.unshift(oneLine(details.action ?? details.tool_name ?? details.tool ?? ""));
  for (const [key, value] of Object.entries(details)) {
    if (said.join().length > 240) break;
    if (row.kind === "step" && key === "kind") said.push(value === row.name ? "" : oneLine(value, 80));
    else if (!APART.has(key) && !key.startsWith(USAGE)) said.push(`${key} ${oneLine(value, 80)}`);
  }
  if (details.result !== undefined) said.push(`\u2192 ${oneLine(asRead(details.result))}`);
  return joined(said);
}

/**
 * Without the colours of a terminal, and what Markdown stresses it with; of content its texts.
 *
 * @param {any} value
 * @returns {any}
 */
function asRead(value) {
  if (imageUrl(value) !== null) return "(image)";
  if (typeof value !== "string")
    return (
      partsIn(value)
        ?.map((part) => asRead(part.text ?? part))
        .join(" ") ?? value
    );
  const text = withoutControls(cut(value, LOOKED_AT));
  return text.replace(STRESS, "$2").replace(/^ {0,3}(?:#{1,6} |> |```\w*)/gm, "");
}

/** @param {string[]} said */
const joined = (said) => said.filter(Boolean).join("  \u00b7  ").replace("  \u00b7  \u2192", "  \u2192");

/** @param {Record<string, any>} details */
function failureOf({ error, error_type: type }) {
  if (error === undefined && typeof type !== "string") return "";
  const message = error === undefined ? "" : oneLine(error);
  return typeof type !== "string" || message.startsWith(type) ? message : `${oneLine(type, 80)}: ${message}`;
}

/** What was asked for: of a tool's arguments the one that tells most. @param {Record<string, any>} details */
function mainOf(details) {
  const main = details.goal ?? details.reasoning ?? details.args ?? details.arguments ?? details.input;
  if (main === undefined || isEmpty(main)) return "";
  if (typeof main !== "object" || Array.isArray(main)) return oneLine(main);
  const named = MAIN_ARGUMENTS.find((name) => typeof main[name] === "string" && main[name] !== "");
  const keys = Object.keys(main);
  if (named === undefined) return oneLine(keys.length === 1 ? main[keys[0]] : main);
  const rest = Object.fromEntries(Object.entries(main).filter(([key]) => key !== named));
  return isEmpty(rest) ? oneLine(main[named]) : `${oneLine(main[named], 120)}  ${oneLine(rest, 120)}`;
}

/** @param {Record<string, any>} details of a model's call */
function answerOf(details) {
  const answer = details["gen_ai.output.messages"]?.at?.(-1)?.parts?.map?.(textOf) ?? details.result;
  if (answer === undefined) return "";
  const parts = Array.isArray(answer) ? answer.slice(0, LOOKED_AT) : [answer];
  const text = oneLine(
    parts
      .filter(Boolean)
      .map((part) => oneLine(asRead(part)))
      .join(" "),
  );
  return text === "" ? "" : `\u2192 ${text}`;
}

/**
 * What a call of a model has used: tokens in and out, US dollars, and how long its first token took.
 *
 * @param {Row} row
 * @returns {string}
 */
export function usage({ kind, details }) {
  if (kind !== "llm") return "";
  const [input, output, cost] = ["input_tokens", "output_tokens", "cost"].map((name) =>
    numberOf(details[USAGE + name]),
  );
  const first = numberOf(details["gen_ai.response.time_to_first_chunk"]);
  const said = [];
  if (input !== null || output !== null) said.push(`${brief(input)} \u2192 ${brief(output)} tokens`);
  if (cost !== null) said.push(`$${Number(cost.toPrecision(3))}`);
  if (first !== null) said.push(`${formatDuration(first * 1000)} to first`);
  return said.join(" \u00b7 ");
}

/** @param {unknown} value */
const numberOf = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** @param {number | null} tokens */
const brief = (tokens) => (tokens === null ? "?" : formatCount(tokens));

/** @param {any} part of a message */
const textOf = (part) => part?.content ?? part?.name ?? part?.type ?? part ?? "";

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
  return DECISIONS.get(row.last.details.decision) ?? "Decided";
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
