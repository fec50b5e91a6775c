// Markdown as elements. marked tells what it is; HTML in it stays text.

import { lexer } from "../../vendor/marked/marked.esm.js";
import { element } from "../elements.js";
import { codeBlock } from "./code.js";
import { linkTo, picture } from "./links.js";

/** @typedef {import("../../vendor/marked/marked.esm.js").Token} Token */

/** What one of these says shows that its text is Markdown: emphasis, a fence, a heading, a list, a table, a link. */
const SIGNS =
  /\*\*\S[^*\n]*\*\*|^ {0,3}(?:```|~~~)|^#{1,6} \S|^ {0,3}(?:[-*+]|\d{1,3}[.)]) \S|^\|.+\|\s*$|\[[^\]\n]+\]\([^)\n]+\)|`[^`\n]+`|^> /m;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", apos: "'", nbsp: "\u00a0" };

/** @param {string} text */
export const isMarkdown = (text) => SIGNS.test(text);

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function markdown(text) {
  /** @type {Token[]} */
  let tokens;
  try {
    tokens = lexer(text);
    return element("div.markdown", {}, ...tokens.flatMap(block));
  } catch {
    return element("pre.plain", {}, text); // nested deeper than anybody reads
  }
}

/**
 * @param {any} token
 * @returns {(Node | string)[]}
 */
function block(token) {
  switch (token.type) {
    case "space":
    case "def":
      return [];
    case "heading":
      return [element("p.heading", { role: "heading", "aria-level": String(token.depth + 3) }, ...inlines(token))];
    case "paragraph":
      return [element("p", {}, ...inlines(token))];
    case "code":
      return [codeBlock(token.text)];
    case "blockquote":
      return [element("blockquote", {}, ...token.tokens.flatMap(block))];
    case "list":
      return [list(token)];
    case "table":
      return [table(token)];
    case "hr":
      return [element("hr")];
    case "html":
      return [element("p", {}, token.text)];
    default:
      return inline(token);
  }
}

/** @param {any} token */
function list({ ordered, start, items }) {
  const node = element(ordered ? "ol" : "ul");
  if (ordered && typeof start === "number") node.start = start;
  node.append(...items.map((/** @type {any} */ item) => element("li", {}, ...item.tokens.flatMap(block))));
  return node;
}

/** @param {any} token */
function table({ header, rows }) {
  const cells = (/** @type {any[]} */ row, /** @type {string} */ name) =>
    element("tr", {}, ...row.map((cell) => element(name, {}, ...inlines(cell))));
  const body = rows.map((/** @type {any[]} */ row) => cells(row, "td"));
  const whole = element("table", {}, element("thead", {}, cells(header, "th")), element("tbody", {}, ...body));
  return element("div.wide", { tabIndex: 0, role: "group", "aria-label": "Table" }, whole);
}

/**
 * @param {any} token
 * @returns {(Node | string)[]}
 */
const inlines = (token) => (token.tokens ?? []).flatMap(inline);

/**
 * @param {any} token
 * @returns {(Node | string)[]}
 */
function inline(token) {
  switch (token.type) {
    case "strong":
    case "em":
    case "del":
      return [element(token.type, {}, ...inlines(token))];
    case "codespan":
      return [element("code", {}, token.text)];
    case "br":
      return [element("br")];
    case "link":
      return [linkTo(token.href, inlines(token))];
    case "image":
      return [picture(token.href, token.text)];
    case "checkbox":
      return [
        element("input", { type: "checkbox", checked: token.checked, disabled: true, "aria-label": "Done" }),
        " ",
      ];
    case "text":
      return token.tokens ? inlines(token) : [unescaped(token.text)];
    case "escape":
      return [token.text];
    default:
      return [token.raw];
  }
}

/** @param {string} text */
function unescaped(text) {
  return text.replace(/&(amp|lt|gt|quot|#39|apos|nbsp);/g, (_, name) => /** @type {any} */ (ENTITIES)[name]);
}
