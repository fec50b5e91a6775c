// What a program has written to a terminal: its colours, and nothing of what moves a cursor.

import { createAnsiSequenceParser, createColorPalette } from "../../vendor/ansi-sequence-parser/index.js";
import { element } from "../elements.js";

/** ECMA-48: strings to the terminal, then all control sequences but those of colours, then other escapes. */
const STRINGS = /(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?/g;
const SEQUENCES = /\x1b\[(?![\d;]*m)[0-?]*[ -/]*[@-~]?/g;
const ESCAPES = /\x1b(?!\[)[ -/]*[0-~]?/g;
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/g;
const COLOURS = /\x1b\[[\d;]*m/;

const palette = createColorPalette();

/** @param {string} text */
export const isTerminal = (text) => text.includes("\x1b[") && COLOURS.test(text);

/**
 * The text, without its colours.
 *
 * @param {string} text
 */
export const withoutControls = (text) => tidied(text).replaceAll(new RegExp(COLOURS, "g"), "");

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function terminal(text) {
  const parser = createAnsiSequenceParser();
  return element("pre.terminal", {}, ...parser.parse(tidied(text)).map(piece));
}

/** @param {string} text */
function tidied(text) {
  const plain = text.replaceAll("\x9b", "\x1b[").replace(STRINGS, "").replace(SEQUENCES, "").replace(ESCAPES, "");
  return overstruck(plain).split("\n").map(rewritten).join("\n").replace(CONTROLS, "");
}

/** What is left of a line that is written again from its beginning, as bars of progress are. @param {string} line */
function rewritten(line) {
  const whole = line.endsWith("\r") ? line.replace(/\r+$/, "") : line;
  return whole.slice(whole.lastIndexOf("\r") + 1);
}

/** Without letters that others are written over, as in pages of manuals. @param {string} text */
function overstruck(text) {
  const [first, ...pieces] = text.split("\b");
  return pieces.reduce((left, piece) => (left.endsWith("\n") ? left : left.slice(0, -1)) + piece, first);
}

/** @param {import("../../vendor/ansi-sequence-parser/index.js").ParseToken} token */
function piece({ value, foreground, background, decorations }) {
  if (foreground === null && background === null && decorations.size === 0) return value;
  const node = element("span", { className: [...decorations].join(" ") }, value);
  paint(node, "color", foreground);
  paint(node, "background-color", background);
  return node;
}

/**
 * The sixteen colours that have a name are the sheet's, for either ground; all others are what the program says.
 *
 * @param {HTMLElement} node
 * @param {"color" | "background-color"} property
 * @param {any} colour
 */
function paint(node, property, colour) {
  if (colour === null) return;
  if (colour.type === "named") node.classList.add(property === "color" ? colour.name : `on-${colour.name}`);
  else node.style.setProperty(property, palette.value(colour) ?? "");
}
