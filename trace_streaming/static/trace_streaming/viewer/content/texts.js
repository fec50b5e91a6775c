// One view of text for everything: as what it is, or raw, and folded where it is longer than there is room.

import { parseExact } from "../../client/exact_json.js";
import { element } from "../elements.js";
import { byteLength, counted, cut, formatBytes, inOrder } from "../format.js";
import { copyButton, jsonTree } from "../json_tree.js";
import { codeBlock } from "./code.js";
import { diff, isDiff } from "./diff.js";
import { imageUrl } from "./parts.js";
import { isPicture, picture } from "./links.js";
import { isMarkdown, markdown } from "./markdown.js";
import { isTerminal, terminal, withoutControls } from "./terminal.js";

/** Characters that are looked at, and built at once: more than anybody reads without asking for it. */
const MOST = 200_000;
/** More than is seen of a folded text, on the highest screen. */
const FOLDED_LINES = 500;
const JSON_BEGINS = /^\s*[[{]/;
const CODE_LINES = 3;
/** Margins of what is inside; no line is as low. */
const SLACK_PX = 8;

/** @typedef {(text: string) => HTMLElement} Format */

/**
 * What is more than a branch, or a line of letters, of a tree.
 *
 * @type {import("../json_tree.js").Show}
 */
export const partView = (value) => (typeof value === "string" ? textView(value) : imageView(value));

/**
 * The picture that an object is; null where it is none.
 *
 * @param {unknown} value
 * @returns {HTMLElement | null}
 */
export function imageView(value) {
  const url = imageUrl(value);
  return url === null ? null : picture(url, "");
}

/**
 * How a text is shown; null where it is only what it is.
 *
 * @param {string} text
 * @param {boolean} isProse whether somebody, or a model, wrote it to be read
 * @returns {Format | null}
 */
export function formatOf(text, isProse) {
  if (isTerminal(text)) return terminal;
  if (isDiff(text)) return diff;
  if (isPicture(text)) return (url) => picture(url, "");
  if (JSON_BEGINS.test(text) && parsed(text) !== undefined)
    return (json) => jsonTree(parsed(json), "", imageView).element;
  if (isProse && isMarkdown(text)) return markdown;
  if (!isProse && text.split("\n", CODE_LINES + 1).length > CODE_LINES) return codeBlock;
  return null;
}

/**
 * @param {string} text
 * @param {{isProse?: boolean, name?: string}} [options] `name`: what is copied
 * @returns {HTMLElement}
 */
export function textView(text, { isProse = false, name = "text" } = {}) {
  const shown = element("div.shown");
  const tools = element("div.text-tools");
  let isWhole = false;
  let isRaw = false;
  const beginning = inOrder(cut(text, MOST));
  const format = formatOf(beginning, isProse);
  const draw = () => {
    const all = isWhole ? inOrder(text) : beginning;
    const used = isRaw ? null : isWhole ? formatOf(all, isProse) : format;
    const part = isWhole || !isByLines(used) ? all : firstLines(all, FOLDED_LINES);
    shown.replaceChildren(used === null ? element("div.plain", {}, isRaw ? part : withoutControls(part)) : used(part));
  };
  draw();
  if (format !== null) {
    const raw = element("button.tool", { type: "button", "aria-pressed": "false" }, "Raw");
    raw.addEventListener("click", () => {
      isRaw = !isRaw;
      raw.setAttribute("aria-pressed", String(isRaw));
      draw();
    });
    tools.append(raw);
  }
  tools.append(copyButton(text, name));
  const node = element("div.text.folded", {}, shown, tools);
  foldLonger(node, shown, text, () => {
    if (isWhole) return;
    isWhole = true;
    if (text.length > MOST || firstLines(text, FOLDED_LINES) !== text) draw();
  });
  return node;
}

/** Whether of such a text the beginning looks as it does in the whole. @param {Format | null} format */
const isByLines = (format) =>
  format === null || format === codeBlock || format === diff || format === terminal || format === markdown;

/** @param {string} text @param {number} count */
function firstLines(text, count) {
  let end = -1;
  for (let line = 0; line < count; line++) {
    end = text.indexOf("\n", end + 1);
    if (end < 0) return text;
  }
  return text.slice(0, end);
}

/**
 * Folds what is longer than the free height, as soon as that is known.
 *
 * @param {HTMLElement} node
 * @param {HTMLElement} shown
 * @param {string} text
 * @param {() => void} showAll
 */
function foldLonger(node, shown, text, showAll) {
  const size = `${formatBytes(byteLength(text))}, ${counted(text.split("\n").length, "line")}`;
  const toggle = element(
    "button.more",
    { type: "button", hidden: true, "aria-expanded": "false" },
    `Show all: ${size}`,
  );
  toggle.addEventListener("click", () => {
    const isFolded = node.classList.toggle("folded");
    if (!isFolded) showAll();
    toggle.setAttribute("aria-expanded", String(!isFolded));
    toggle.textContent = isFolded ? `Show all: ${size}` : "Show less";
  });
  new ResizeObserver(() => {
    if (node.classList.contains("folded"))
      toggle.hidden = shown.scrollHeight <= shown.clientHeight + SLACK_PX && text.length <= MOST;
  }).observe(shown);
  shown.after(toggle);
}

/**
 * @param {string} text
 * @returns {unknown} undefined where it is not JSON
 */
function parsed(text) {
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}
