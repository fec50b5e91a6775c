// JSON as a tree that folds, is searched and copied. Branches are built when they are first opened.

import { stringifyExact } from "../client/exact_json.js";
import { element, icon } from "./elements.js";
import { byteLength, counted, cut, formatBytes, inOrder } from "./format.js";
import { partsOf } from "./matches.js";

/** So many entries at a time. */
const PAGE = 100;
/** Longer texts are folded. */
const SHOWN_CHARACTERS = 600;
const SHOWN_LINES = 8;
const OPEN_DEPTH = 2;
const OPEN_ENTRIES = 30;
/** Matches beyond these are not looked for. */
const MAX_MATCHES = 500;

/**
 * @param {unknown} value
 * @param {string} [word] in lower case; only what holds it is shown, opened and marked
 * @param {Show} [show]
 * @returns {{element: HTMLElement, matches: number}}
 */
export function jsonTree(value, word = "", show = () => null) {
  const matches = { left: MAX_MATCHES };
  const list = element("ul.tree");
  addEntries(list, entriesOf(value), { word, depth: 0, matches, show });
  return { element: list, matches: MAX_MATCHES - matches.left };
}

/**
 * What an object, or a text that may be more than one line of letters, is shown as; null: as any other.
 *
 * @typedef {(value: unknown) => HTMLElement | null} Show
 */

/**
 * @typedef {object} Look
 * @property {string} word
 * @property {number} depth
 * @property {{left: number}} matches
 * @property {Show} show
 */

/**
 * @param {HTMLElement} list
 * @param {[string, unknown][]} entries
 * @param {Look} look
 * @param {number} [from]
 */
function addEntries(list, entries, look, from = 0) {
  let index = from;
  for (let added = 0; index < entries.length && added < PAGE; index++) {
    const [key, value] = entries[index];
    if (look.word && !holds(key, value, look.word)) continue;
    list.append(entry(key, value, look));
    added += 1;
  }
  const left = entries.length - index;
  if (left <= 0) return;
  const more = element("button.more", { type: "button" }, `Show ${Math.min(left, PAGE)} more of ${left}`);
  more.addEventListener("click", () => {
    more.parentElement.remove();
    addEntries(list, entries, look, index);
  });
  list.append(element("li", {}, more));
}

/**
 * @param {string} key
 * @param {unknown} value
 * @param {Look} look
 */
function entry(key, value, look) {
  const name = element("span.key", {}, ...marked(key, look));
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) {
    return element("li", {}, element("div.leaf", {}, name, leaf(value, look), copyButton(value, key)));
  }
  const shown = look.word === "" ? look.show(value) : null;
  if (shown !== null) {
    return element("li", {}, element("div.leaf", {}, name, element("span.long", {}, shown), copyButton(value, key)));
  }
  return element("li", {}, branch(name, key, value, look));
}

/**
 * @param {HTMLElement} name
 * @param {string} key
 * @param {object} value
 * @param {Look} look
 */
function branch(name, key, value, look) {
  const entries = entriesOf(value);
  const size = Array.isArray(value) ? counted(entries.length, "item") : counted(entries.length, "key");
  const isInside = look.word !== "" && entries.some(([key, value]) => holds(key, value, look.word));
  // Where only the key is what was looked for, all of its value is of interest.
  const inner = { ...look, word: isInside ? look.word : "", depth: look.depth + 1 };
  const summary = element("summary", {}, icon("chevron"), name, element("span.size", {}, size), copyButton(value, key));
  const folded = element("details.branch", {}, summary);
  const fill = () => {
    if (folded.children.length > 1) return;
    const list = element("ul");
    addEntries(list, entries, inner);
    folded.append(list);
  };
  folded.addEventListener("toggle", () => folded.open && fill());
  if (isInside || (inner.depth <= OPEN_DEPTH && entries.length <= OPEN_ENTRIES)) {
    fill();
    folded.open = true;
  }
  return folded;
}

/**
 * @param {unknown} value
 * @param {Look} look
 */
function leaf(value, look) {
  if (typeof value !== "string") {
    const text = stringifyExact(value) ?? "undefined";
    const kind = value === null ? "null" : typeof value === "bigint" ? "number" : typeof value;
    return element(`span.value.${kind}`, {}, ...marked(text, look));
  }
  if (value === "") return element("span.value.null", {}, "empty text");
  const shown = isRich(value) ? look.show(value) : null;
  if (shown !== null) return element("span.long", {}, shown);
  return isLong(value) ? foldedText(value, look) : element("span.value.string", {}, ...marked(value, look));
}

/** Whether a text may be code, JSON, a diff, or what a terminal shows. @param {string} text */
const isRich = (text) => text.length > SHOWN_CHARACTERS || /[\n\x1b]|^\s*[[{](?!redacted:)./.test(text);

/** @param {string} text */
const isLong = (text) => text.length > SHOWN_CHARACTERS || text.split("\n", SHOWN_LINES + 2).length > SHOWN_LINES + 1;

/**
 * @param {string} text
 * @param {Look} look
 */
function foldedText(text, look) {
  const lastMatch = look.word ? text.toLowerCase().lastIndexOf(look.word) : 0;
  const beginning = cut(text.split("\n", SHOWN_LINES).join("\n"), SHOWN_CHARACTERS);
  const value = element("span.value.string");
  const size = `${formatBytes(byteLength(text))}, ${counted(text.split("\n").length, "line")}`;
  const toggle = element("button.more", { type: "button" });
  const show = (/** @type {boolean} */ whole) => {
    value.replaceChildren(...(whole ? marked(text, look) : [...marked(beginning, look), "…"]));
    toggle.textContent = whole ? "Show less" : `Show all: ${size}`;
    toggle.setAttribute("aria-expanded", String(whole));
  };
  toggle.addEventListener("click", () => show(toggle.getAttribute("aria-expanded") !== "true"));
  show(lastMatch + look.word.length > beginning.length);
  return element("span.long", {}, value, toggle);
}

/**
 * A text, with what was looked for marked.
 *
 * @param {string} text
 * @param {Look} look
 * @returns {(Node | string)[]}
 */
function marked(text, { word, matches }) {
  if (word === "") return [inOrder(text)];
  return partsOf(inOrder(text), [word], matches.left).map(({ text, isMatch }) => {
    if (isMatch) matches.left -= 1;
    return isMatch ? element("mark", {}, text) : text;
  });
}

/**
 * @param {string} key
 * @param {unknown} value
 * @param {string} word
 * @returns {boolean}
 */
function holds(key, value, word) {
  if (key.toLowerCase().includes(word)) return true;
  if (value !== null && typeof value === "object") {
    return entriesOf(value).some(([key, value]) => holds(key, value, word));
  }
  return String(value).toLowerCase().includes(word);
}

/**
 * @param {unknown} value
 * @returns {[string, any][]}
 */
function entriesOf(value) {
  return value !== null && typeof value === "object" ? Object.entries(value) : [["", value]];
}

/**
 * @param {unknown} value
 * @param {string} name what is copied
 */
export function copyButton(value, name) {
  const node = element("button.copy", { type: "button", title: "Copy", "aria-label": `Copy ${name}` }, icon("copy"));
  node.addEventListener("click", (/** @type {Event} */ event) => {
    event.preventDefault(); // inside a summary
    copy(node, typeof value === "string" ? value : /** @type {string} */ (stringifyExact(value, 2)));
  });
  return node;
}

/**
 * @param {HTMLElement} node the button, which says what became of it
 * @param {string} text
 */
export async function copy(node, text) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    // Not allowed, or not over https: what can be done is to say so.
  }
  node.classList.add(done ? "copied" : "refused");
  node.title = done ? "Copied" : "The browser does not allow to copy";
  setTimeout(() => {
    node.classList.remove("copied", "refused");
    node.title = "Copy";
  }, 1500);
}
