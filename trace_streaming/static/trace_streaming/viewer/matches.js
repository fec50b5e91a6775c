// What was looked for in a text, by its letters in any case.

import { cut } from "./format.js";

/** Characters before what was found, and of all that is shown around it. */
const BEFORE = 40;
const AROUND = 240;

/** @typedef {{text: string, isMatch: boolean}} Part */

/**
 * A pattern that finds any of the words: on the text itself, of which some letters have another length in lower case.
 *
 * @param {readonly string[]} words
 */
export function patternOf(words) {
  const escaped = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "giu");
}

/**
 * A text in parts, each of which is one of the words, or none.
 *
 * @param {string} text
 * @param {readonly string[]} words
 * @param {number} [most] matches
 * @returns {Part[]}
 */
export function partsOf(text, words, most = Infinity) {
  const parts = /** @type {Part[]} */ ([]);
  let from = 0;
  if (words.length > 0) {
    for (const { 0: found, index } of text.matchAll(patternOf(words))) {
      if (found === "" || parts.length >= most * 2) break;
      parts.push({ text: text.slice(from, index), isMatch: false }, { text: found, isMatch: true });
      from = index + found.length;
    }
  }
  parts.push({ text: text.slice(from), isMatch: false });
  return parts.filter(({ text }) => text !== "");
}

/**
 * The text around the first of the words that is in it; null where none is.
 *
 * @param {string} text
 * @param {readonly string[]} words
 */
export function excerpt(text, words) {
  const index = words.length === 0 ? -1 : text.search(patternOf(words));
  if (index < 0) return null;
  const from = Math.max(index - BEFORE, 0);
  const before = from === 0 ? "" : "… ";
  // A text that begins in the middle of a pair begins behind it.
  const start = /[\udc00-\udfff]/.test(text[from] ?? "") ? from + 1 : from;
  return before + cut(text.slice(start), AROUND).replace(/\s+/g, " ");
}
