// What a row's details show, the most wanted first: what came of it, what it was given, then all the rest.

import { OUTCOMES } from "../../client/spans.js";
import { element } from "../elements.js";
import { counted, formatDuration, formatName, formatNumber, oneLine } from "../format.js";
import { jsonTree } from "../json_tree.js";
import { conversation, lazily, messageView, value } from "./messages.js";
import { partView, textView } from "./texts.js";

/** @typedef {import("../row.js").Row} Row */
/** @typedef {import("./messages.js").Reader} Reader */
/** @typedef {{title: string, kind: string, copied: unknown, content: Node[]}} Section */

const INPUT = "gen_ai.input.messages";
const OUTPUT = "gen_ai.output.messages";
const SYSTEM = "gen_ai.system_instructions";
const TOOLS = "gen_ai.tool.definitions";
/** What the sections, the facts and the head of the panel say already. */
const SAID = new Set([
  ...[
    "tool",
    "tool_name",
    "name",
    "call_id",
    "parent_call_id",
    "moved",
    "approval_id",
    "duration_ms",
    "outcome",
    "kind",
  ],
  ...["result", "error", "error_type", "traceback", "args", "arguments", "input", "history_call_id", "history_count"],
  ...[
    INPUT,
    OUTPUT,
    SYSTEM,
    TOOLS,
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.tool.name",
    "gen_ai.agent.name",
  ],
  ...["gen_ai.tool.call.id", "gen_ai.response.finish_reasons", "gen_ai.operation.name"],
]);
const USAGE = "gen_ai.usage.";
const FIRST_CHUNK = "gen_ai.response.time_to_first_chunk";

/**
 * @param {Row} row
 * @param {unknown[]} messages all that its model was sent
 * @param {Reader} reader
 * @returns {Section[]}
 */
export function sections(row, messages, reader) {
  const { details } = row;
  if (!row.isSpan) return rest(details, new Set(["approval_id", "call_id", "parent_call_id"]), true);
  const output = row.kind === "llm" ? said(row, reader) : came(row);
  const input = row.kind === "llm" ? sent(row, messages, reader) : given(details);
  return [...failed(details), ...output, ...input, ...rest(details, SAID, false)];
}

/**
 * What a reader looks for beside its times.
 *
 * @param {Row} row
 * @returns {[string, string][]}
 */
export function factsOf({ details, kind }) {
  const facts = /** @type {[string, string][]} */ ([]);
  if (OUTCOMES.has(details.outcome)) facts.push(["Outcome", formatName(details.outcome)]);
  if (kind === "step" && typeof details.kind === "string") facts.push(["Kind", formatName(details.kind)]);
  const model = details["gen_ai.response.model"] ?? details["gen_ai.request.model"];
  if (kind === "llm" && typeof model === "string") facts.push(["Model", model]);
  const [input, output, cached, thought, cost] = [
    ...["input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens", "cost"],
  ].map((name) => (typeof details[USAGE + name] === "number" ? details[USAGE + name] : null));
  if (input !== null || output !== null) {
    const parts = [`${told(input)} in → ${told(output)} out`];
    if (cached !== null) parts.push(`${told(cached)} cached`);
    if (thought !== null) parts.push(`${told(thought)} reasoning`);
    facts.push(["Tokens", parts.join(" · ")]);
  }
  if (cost !== null) facts.push(["Cost", `$${Number(cost.toPrecision(3))}`]);
  const first = details[FIRST_CHUNK];
  if (typeof first === "number") facts.push(["First token", formatDuration(first * 1000)]);
  const reasons = details["gen_ai.response.finish_reasons"];
  if (Array.isArray(reasons) && reasons.length > 0) facts.push(["Finished", oneLine(reasons)]);
  return facts;
}

/** @param {number | null} tokens */
const told = (tokens) => (tokens === null ? "?" : formatNumber(tokens));

/** @param {Record<string, any>} details */
function failed({ error, error_type: type, traceback }) {
  if (error === undefined && type === undefined && traceback === undefined) return [];
  const content = [];
  const line =
    typeof error === "string" && typeof type === "string" && !error.startsWith(type) ? `${type}: ${error}` : error;
  content.push(value(line ?? type));
  if (typeof traceback === "string")
    content.push(lazily("Traceback", () => [textView(traceback, { name: "traceback" })]));
  return [{ title: "Error", kind: "failed", copied: traceback ?? line ?? type, content }];
}

/** @param {Row} row */
function came({ details, said, isOpen }) {
  if (isOpen && said !== "") return [spoken(said)];
  if (details.result === undefined) return [];
  return [{ title: "Output", kind: "output", copied: details.result, content: [value(details.result)] }];
}

/** @param {Record<string, any>} details */
function given(details) {
  const input = details.args ?? details.arguments ?? details.input;
  if (input === undefined) return [];
  return [{ title: "Input", kind: "input", copied: input, content: [value(input)] }];
}

/**
 * @param {Row} row
 * @param {Reader} reader
 */
function said({ details, said, isOpen }, reader) {
  if (isOpen && said !== "") return [spoken(said)];
  const answers = details[OUTPUT];
  if (Array.isArray(answers) && answers.length > 0) {
    const content = answers.map((message) => messageView(message, reader));
    return [{ title: "Answer", kind: "output", copied: answers, content }];
  }
  if (details.result === undefined) return [];
  const { result } = details;
  const content = typeof result === "string" ? textView(result, { isProse: true, name: "answer" }) : value(result);
  return [{ title: "Answer", kind: "output", copied: result, content: [content] }];
}

/** @param {string} text while a call says it */
const spoken = (text) => ({
  title: "Says",
  kind: "output",
  copied: text,
  content: [textView(text, { isProse: true })],
});

/**
 * @param {Row} row
 * @param {unknown[]} messages
 * @param {Reader} reader
 */
function sent({ details }, messages, reader) {
  const content = [];
  const { [SYSTEM]: system, [INPUT]: own, [TOOLS]: tools } = details;
  if (system !== undefined) content.push(messageView({ role: "system", content: system }, reader));
  const fresh = Array.isArray(own) ? own.length : Number(own !== undefined);
  const cut = Math.max(messages.length - fresh, 0);
  content.push(...conversation(messages.slice(0, cut), messages.slice(cut), reader));
  if (content.length === 0 && details.args !== undefined) content.push(value(details.args));
  if (Array.isArray(tools)) content.push(lazily(counted(tools.length, "tool definition"), () => [value(tools)]));
  return content.length === 0 ? [] : [{ title: "Messages", kind: "input", copied: messages, content }];
}

/**
 * @param {Record<string, any>} details
 * @param {Set<string>} without
 * @param {boolean} isAll whether nothing else is shown of them
 * @returns {Section[]}
 */
function rest(details, without, isAll) {
  const left = Object.fromEntries(Object.entries(details).filter(([key]) => !without.has(key) && !isFact(key)));
  const count = Object.keys(left).length;
  if (count === 0) return [];
  const tree = () => [jsonTree(left, "", partView).element];
  if (isAll) return [{ title: "Details", kind: "rest", copied: left, content: tree() }];
  return [{ title: "", kind: "rest", copied: left, content: [lazily(counted(count, "attribute"), tree)] }];
}

/** @param {string} key */
const isFact = (key) => key.startsWith(USAGE) || key === FIRST_CHUNK;
