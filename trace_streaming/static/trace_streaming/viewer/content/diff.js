// Unified diffs, as git and diff write them.

import { linesOf } from "./code.js";

const HUNK = /^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@/m;
const MOST_LINES = 5_000;
const KINDS = /** @type {const} */ ([
  [/^(?:diff |index |--- |\+\+\+ |new file|deleted file|similarity |rename |Binary )/, "of-file"],
  [/^@@ /, "hunk"],
  [/^\+/, "added"],
  [/^-/, "removed"],
]);

/** @param {string} text */
export const isDiff = (text) => HUNK.test(text) && text.split("\n", MOST_LINES + 1).length <= MOST_LINES;

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function diff(text) {
  const lines = text.replace(/\n$/, "").split("\n");
  const node = linesOf(lines.map((line) => [line, KINDS.find(([begins]) => begins.test(line))?.[1] ?? ""]));
  node.classList.add("diff");
  return node;
}
