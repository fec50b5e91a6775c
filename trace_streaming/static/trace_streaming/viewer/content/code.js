// Code, and whatever else is read line by line, with the numbers of its lines.

import { element } from "../elements.js";

/** A line more is an element more: beyond these a text has no numbers. */
const MOST_LINES = 5_000;

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function codeBlock(text) {
  const lines = text.replace(/\n$/, "").split("\n");
  if (lines.length > MOST_LINES) return element("pre.plain", {}, text);
  return linesOf(lines.map((line) => [line, ""]));
}

/**
 * @param {(readonly [string, string])[]} lines each with what it is
 * @returns {HTMLElement}
 */
export function linesOf(lines) {
  const shown = lines.map(([line, kind]) => element("span", { className: `line ${kind}` }, `${line}\n`));
  const node = element("pre.code", {}, ...shown);
  node.style.setProperty("--digits", String(String(lines.length).length));
  return node;
}
