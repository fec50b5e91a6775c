// A model's call as a conversation: what it was sent, and what it said.

import { element, icon } from "../elements.js";
import { counted, formatName, oneLine } from "../format.js";
import { jsonTree } from "../json_tree.js";
import { isEmpty, partsIn, TEXTS } from "./parts.js";
import { imageView, partView, textView } from "./texts.js";

/**
 * What a conversation needs to know of the page.
 *
 * @typedef {object} Reader
 * @property {(callId: string) => (() => void) | null} toCall goes to the row that carried a call out, if there is one
 */

/**
 * Earlier messages folded with their number, and what is new open.
 *
 * @param {unknown[]} earlier
 * @param {unknown[]} messages
 * @param {Reader} reader
 * @returns {Node[]}
 */
export function conversation(earlier, messages, reader) {
  const shown = messages.map((message) => messageView(message, reader));
  if (earlier.length === 0) return shown;
  const count = earlier.reduce((/** @type {number} */ sum, message) => sum + sizeOf(message), 0);
  const folded = lazily(`${counted(count, "earlier message")}`, () => earlier.map((each) => messageView(each, reader)));
  return [folded, ...shown];
}

/**
 * What is built when it is opened.
 *
 * @param {string} title
 * @param {() => Node[]} build
 * @returns {HTMLElement}
 */
export function lazily(title, build) {
  const folded = element("details.more-of-it", {}, element("summary", {}, icon("chevron"), title));
  folded.addEventListener("toggle", () => folded.open && folded.children.length === 1 && folded.append(...build()));
  return folded;
}

/** @param {any} message */
const sizeOf = (message) => (message?.role === "missing" ? Number(message.count) || 1 : 1);

/**
 * @param {any} message
 * @param {Reader} reader
 * @returns {HTMLElement}
 */
export function messageView(message, reader) {
  if (message === null || typeof message !== "object") return bubble("user", [value(message)]);
  const role = typeof message.role === "string" ? message.role : "message";
  if (role === "missing") {
    return bubble("missing", [element("p.none", {}, `${counted(sizeOf(message), "message")} not stored.`)]);
  }
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.map(toToolCall) : [];
  const parts = [...partsOf(message), ...calls];
  const why = typeof message.finish_reason === "string" ? ` · ${formatName(message.finish_reason)}` : "";
  const name = typeof message.name === "string" ? ` ${message.name}` : "";
  return bubble(role, parts.length > 0 ? parts.map((part) => messagePart(part, reader)) : [value(message)], name + why);
}

/** As OpenAI has it, beside the conventions of OpenTelemetry: `parts` or `content`. @param {any} message */
function partsOf({ parts, content }) {
  const told = parts ?? content ?? [];
  if (typeof told === "string") return told === "" ? [] : [{ type: "text", content: told }];
  return Array.isArray(told) ? told : [told];
}

/** @param {any} call */
function toToolCall(call) {
  const { name, arguments: given } = call?.function ?? call ?? {};
  return { type: "tool_call", id: call?.id, name, arguments: given };
}

/**
 * @param {any} part
 * @param {Reader} reader
 * @returns {Node}
 */
function messagePart(part, reader) {
  const content = part?.content ?? part?.text;
  if (TEXTS.has(part?.type) && typeof content === "string") return textView(content, { isProse: true });
  switch (part?.type) {
    case "reasoning":
    case "thinking":
      return element("div.thought", {}, element("span.role", {}, "Thought"), value(content ?? part));
    case "tool_call":
      return called(`Calls ${oneLine(part.name ?? "a tool", 80)}`, part, part.arguments, reader);
    case "tool_call_response":
      return called("Answers the call", part, part.response ?? part.result ?? content, reader);
    default:
      return value(part);
  }
}

/**
 * @param {string} title
 * @param {any} part
 * @param {unknown} content
 * @param {Reader} reader
 */
function called(title, part, content, reader) {
  const go = typeof part.id === "string" ? reader.toCall(part.id) : null;
  const head =
    go === null ? element("span.call-name", {}, title) : element("button.call-name", { type: "button" }, title);
  if (go !== null) head.addEventListener("click", go);
  return element("div.call", {}, element("div.call-head", {}, icon("tool"), head), value(content));
}

/**
 * A text by what it is, all else as a tree.
 *
 * @param {unknown} told
 * @returns {HTMLElement}
 */
export function value(told) {
  if (typeof told === "string") return told === "" ? element("p.none", {}, "Empty text.") : textView(told);
  if (told === undefined || (told !== null && isEmpty(told))) return element("p.none", {}, "Nothing.");
  const parts = partsIn(told);
  return parts === null ? (imageView(told) ?? tree(told)) : contentView(parts, Array.isArray(told) ? {} : told);
}

/** @param {unknown} told */
const tree = (told) => jsonTree(told, "", partView).element;

/**
 * Texts and pictures, and folded what else is said of them.
 *
 * @param {any[]} parts
 * @param {any} holder
 * @returns {HTMLElement}
 */
function contentView(parts, { content, ...others }) {
  const beside = Object.entries(others).filter(([, value]) => !isEmpty(value));
  const folded = lazily(counted(beside.length, "attribute"), () => [tree(Object.fromEntries(beside))]);
  const shown = parts.map((part) => imageView(part) ?? value(part.text));
  return element("div.parts", {}, ...shown, ...(beside.length === 0 ? [] : [folded]));
}

/**
 * @param {string} role
 * @param {Node[]} content
 * @param {string} [more]
 */
function bubble(role, content, more = "") {
  const known = ["system", "user", "assistant", "tool", "missing"].includes(role) ? role : "other";
  return element(
    `div.message.of-${known}`,
    {},
    element("div.role", {}, formatName(oneLine(role, 40)) + more),
    ...content,
  );
}
