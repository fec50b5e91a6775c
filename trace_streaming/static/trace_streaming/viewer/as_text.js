// Rows as text and as Markdown, to be copied or kept. Nothing of it becomes markup here.

import { stringifyExact } from "../client/exact_json.js";
import { formatDuration, oneLine } from "./format.js";
import { label, outcome, usage } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */

const OUTPUT = "gen_ai.output.messages";
const INPUT = "gen_ai.input.messages";
const MOST_HEADS = 6;

/**
 * What a row says, for a letter or a chat: its name, what it took, what it was given, and what came of it.
 *
 * @param {Row} row
 */
export function asText(row) {
  const parts = [headOf(row)];
  for (const { title, value } of partsOf(row)) parts.push(`${title}:\n${plain(value)}`);
  return parts.join("\n\n");
}

/**
 * @param {Row} row
 * @param {number} [depth] of its head, 1 to 6
 */
export function asMarkdown(row, depth = 2) {
  const lines = [`${"#".repeat(Math.min(depth, MOST_HEADS))} ${escaped(headOf(row))}`];
  for (const { title, value, isProse } of partsOf(row)) {
    lines.push(`**${title}**`);
    lines.push(isProse && typeof value === "string" ? quoted(value) : fenced(value));
  }
  return lines.join("\n\n");
}

/**
 * A whole run, each row below what it is inside of.
 *
 * @param {string} name
 * @param {Row[]} rows in the order of the tree
 */
export function runAsMarkdown(name, rows) {
  return `${[`# ${escaped(name)}`, ...rows.map((row) => asMarkdown(row, row.depth + 2))].join("\n\n")}\n`;
}

/** @param {Row} row */
function headOf(row) {
  if (row.kind === "gap") return label(row);
  const facts = [outcome(row, true).text, row.duration === null ? "" : formatDuration(row.duration), usage(row)];
  return `${label(row)} (${facts.filter(Boolean).join(", ")})`;
}

/**
 * @param {Row} row
 * @returns {{title: string, value: unknown, isProse?: boolean}[]}
 */
function partsOf(row) {
  if (row.kind === "gap") return [];
  const { details } = row;
  const parts = [];
  const error = [details.error_type, details.error].filter((part) => part !== undefined).map(plain);
  if (error.length > 0) parts.push({ title: "Error", value: [...new Set(error)].join(": ") });
  const input = details.args ?? details.arguments ?? details.input;
  if (input !== undefined) parts.push({ title: "Input", value: input });
  for (const message of listed(details[INPUT])) parts.push(...messageParts(message));
  for (const message of listed(details[OUTPUT])) parts.push(...messageParts(message));
  if (details.result !== undefined) parts.push({ title: "Output", value: details.result, isProse: row.kind === "llm" });
  if (parts.length === 0 && Object.keys(details).length > 0) parts.push({ title: "Details", value: details });
  return parts;
}

/** @param {any} message @returns {{title: string, value: unknown, isProse?: boolean}[]} */
function messageParts(message) {
  const role = typeof message?.role === "string" ? message.role : "message";
  const title = role.charAt(0).toUpperCase() + role.slice(1);
  const told = message?.parts ?? message?.content ?? message;
  if (!Array.isArray(told)) return [{ title, value: told, isProse: true }];
  return told.map((part) => {
    const content = part?.content ?? part?.text;
    if (typeof content === "string" && part?.type !== "tool_call_response")
      return { title, value: content, isProse: true };
    if (part?.type === "tool_call")
      return { title: `${title} calls ${oneLine(part.name ?? "a tool", 80)}`, value: part.arguments };
    return { title, value: part?.response ?? part?.result ?? part };
  });
}

/** @param {unknown} value */
const listed = (value) => (Array.isArray(value) ? value : []);

/** @param {unknown} value @returns {string} */
const plain = (value) => (typeof value === "string" ? value : (stringifyExact(value, 2) ?? ""));

/** Between more backticks than it holds. @param {unknown} value */
function fenced(value) {
  const text = plain(value);
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${typeof value === "string" ? "" : "json"}\n${text}\n${fence}`;
}

/** @param {string} text */
const quoted = (text) =>
  text
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");

/** As a head: no sign of it means anything. @param {string} text */
const escaped = (text) => text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>#|]/g, "\\$&");
