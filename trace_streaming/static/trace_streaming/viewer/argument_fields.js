// The arguments that a human approves: a field for each, JSON on demand, and what he has changed of them.

import { parseExact, stringifyExact } from "../client/exact_json.js";
import { linesOf } from "./content/code.js";
import { element } from "./elements.js";
import { inOrder, isReordered } from "./format.js";

/** @typedef {{name: string, read: () => unknown, node: HTMLElement}} Field */

const INDENT = 2;
const MOST_ROWS = 14;
/** What the redactor left in place of a value: the agent keeps its own. */
const HIDDEN = /^\[redacted:[a-z ]{2,30}\]$/;
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

export class ArgumentFields {
  #fields = /** @type {Field[]} */ ([]);
  #list = element("div.fields");
  #json = element("textarea.arguments", {
    spellcheck: false,
    "aria-label": "Arguments, as JSON",
    rows: 5,
    hidden: true,
  });
  #toggle = element("button.tool", { type: "button", "aria-pressed": "false" }, "As JSON");
  #changes = element("section.changes", { hidden: true, "aria-label": "Changes" });
  #asked = /** @type {Record<string, unknown>} */ ({});
  #askedText = "{}";
  #schema = /** @type {any} */ (null);
  #isReadOnly = false;

  element = element("div.argument-fields", {}, this.#list, this.#json, this.#toggle, this.#changes);

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.element.addEventListener("input", () => this.#tell());
    this.#toggle.addEventListener("click", () => this.#switch());
  }

  /**
   * @param {unknown} asked
   * @param {unknown} schema of the arguments, where the agent has told one
   * @param {boolean} isReadOnly whether they may not be changed
   */
  show(asked, schema, isReadOnly) {
    this.#asked = asked !== null && typeof asked === "object" ? /** @type {Record<string, unknown>} */ (asked) : {};
    this.#askedText = /** @type {string} */ (stringifyExact(this.#asked, INDENT));
    this.#schema = schema;
    this.#isReadOnly = isReadOnly;
    this.#json.readOnly = isReadOnly;
    this.#fill(this.#asked);
    this.#showJson(false);
    this.#tell();
  }

  /** What is to be approved; raises an error that tells which field is wrong. @returns {Record<string, unknown>} */
  get value() {
    if (!this.#json.hidden) return parsedObject(this.#json.value);
    return Object.fromEntries(this.#fields.map(({ name, read }) => [name, read()]));
  }

  /** Whether it is not what was asked for; what cannot be read is not. */
  get isEdited() {
    try {
      return stringifyExact(this.value, INDENT) !== this.#askedText;
    } catch {
      return true;
    }
  }

  /** @param {Record<string, unknown>} values */
  #fill(values) {
    this.#json.value = jsonOf(values);
    this.#json.rows = rowsOf(this.#json.value);
    this.#fields = Object.entries(values).map(([name, value]) => fieldOf(name, value, this.#choices(name)));
    for (const { node } of this.#fields) {
      for (const input of node.querySelectorAll("input, textarea, select")) {
        if (this.#isReadOnly) /** @type {HTMLInputElement} */ (input).disabled = true;
      }
    }
    const nothing = element("p.none", {}, "Without arguments.");
    this.#list.replaceChildren(...(this.#fields.length > 0 ? this.#fields.map(({ node }) => node) : [nothing]));
  }

  /** @param {string} name @returns {unknown[] | null} */
  #choices(name) {
    const choices = this.#schema?.properties?.[name]?.enum;
    return Array.isArray(choices) && choices.length > 0 ? choices : null;
  }

  /** What stands in the one goes into the other; what is not JSON stays where it can be mended. */
  #switch() {
    const toJson = this.#json.hidden;
    try {
      this.#fill(this.value);
      this.#showJson(toJson);
    } catch {
      this.#json.focus();
    }
    this.#tell();
  }

  /** @param {boolean} isShown */
  #showJson(isShown) {
    this.#json.hidden = !isShown;
    this.#list.hidden = isShown;
    this.#toggle.setAttribute("aria-pressed", String(isShown));
  }

  #tell() {
    this.#changes.replaceChildren(...(this.#isReadOnly ? [] : this.#differences()));
    this.#changes.hidden = this.#changes.childElementCount === 0;
    this.changed();
  }

  #differences() {
    let now;
    try {
      now = this.value;
    } catch {
      return [];
    }
    const names = [...new Set([...Object.keys(this.#asked), ...Object.keys(now)])];
    return names.flatMap((name) => {
      const [before, after] = [textOf(this.#asked, name), textOf(now, name)];
      if (before === after) return [];
      return [element("div.change", {}, element("b", {}, inOrder(name)), difference(before, after))];
    });
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {unknown[] | null} choices
 * @returns {Field}
 */
function fieldOf(name, value, choices) {
  const labelled = (/** @type {HTMLElement} */ input, hint = "") =>
    element("label.field", {}, element("span.field-name", {}, inOrder(name), hint && element("i", {}, hint)), input);
  if (typeof value === "string" && HIDDEN.test(value)) {
    const input = element("input", { type: "text", value, readOnly: true });
    return { name, read: () => value, node: labelled(input, "hidden; the agent keeps its own") };
  }
  if (choices !== null) {
    const offered = choices.some((choice) => same(choice, value)) ? choices : [value, ...choices];
    const options = offered.map((choice, index) => element("option", { value: String(index) }, show(choice)));
    const input = element("select", {}, ...options);
    input.value = String(offered.findIndex((choice) => same(choice, value)));
    return { name, read: () => offered[Number(input.value)], node: labelled(input) };
  }
  if (typeof value === "boolean") {
    const input = element("input", { type: "checkbox", checked: value });
    return { name, read: () => input.checked, node: element("label.field.check", {}, input, inOrder(name)) };
  }
  if (typeof value === "number" || typeof value === "bigint") {
    const input = element("input", { type: "text", inputMode: "decimal", value: show(value) });
    return { name, read: () => numberIn(name, input.value), node: labelled(input) };
  }
  if (typeof value === "string" && !isReordered(value)) {
    const input = element("textarea", { value, rows: rowsOf(value), spellcheck: false });
    return { name, read: textReader(input, value), node: labelled(input) };
  }
  const text = jsonOf(value);
  const input = element("textarea.arguments", { value: text, rows: rowsOf(text), spellcheck: false });
  return { name, read: () => valueIn(name, input.value), node: labelled(input, "JSON") };
}

/**
 * What stands in a field of lines, which has no other line ends than `\n`; those that were asked for stay.
 *
 * @param {HTMLTextAreaElement} input
 * @param {string} asked
 */
function textReader(input, asked) {
  const shown = input.value;
  const lineEnd = asked.includes("\r\n") ? "\r\n" : "\n";
  return () => (input.value === shown ? asked : input.value.replaceAll("\n", lineEnd));
}

/**
 * @param {string} name
 * @param {string} text
 */
function numberIn(name, text) {
  if (!NUMBER.test(text.trim())) throw new Error(`“${name}” is not a number`);
  return parseExact(text.trim());
}

/**
 * @param {string} name
 * @param {string} text
 */
function valueIn(name, text) {
  try {
    return parseExact(text);
  } catch (error) {
    throw new Error(`“${name}” is not JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} text @returns {Record<string, unknown>} */
function parsedObject(text) {
  let value;
  try {
    value = parseExact(text);
  } catch (error) {
    throw new Error(`The arguments are not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("The arguments are a JSON object");
  return value;
}

/** @param {string} text */
const rowsOf = (text) => Math.min(Math.max(text.split("\n").length, text.length > 90 ? 3 : 1), MOST_ROWS);

/** @param {unknown} value */
const show = (value) => inOrder(typeof value === "string" ? value : (stringifyExact(value) ?? ""));

/** @param {unknown} value */
const jsonOf = (value) => inOrder(/** @type {string} */ (stringifyExact(value, INDENT)));

/** @param {unknown} one @param {unknown} other */
const same = (one, other) => stringifyExact(one) === stringifyExact(other);

/**
 * @param {Record<string, unknown>} values
 * @param {string} name
 * @returns {string | null} null where there is none
 */
function textOf(values, name) {
  if (!Object.hasOwn(values, name)) return null;
  const value = values[name];
  return typeof value === "string" ? inOrder(value) : jsonOf(value);
}

/**
 * The lines that differ, between those that are the same at both ends.
 *
 * @param {string | null} before
 * @param {string | null} after
 */
function difference(before, after) {
  const [old, fresh] = [before, after].map((text) => (text === null ? [] : text.split("\n")));
  let start = 0;
  while (start < Math.min(old.length, fresh.length) && old[start] === fresh[start]) start += 1;
  let end = 0;
  while (end < Math.min(old.length, fresh.length) - start && old.at(-1 - end) === fresh.at(-1 - end)) end += 1;
  const part = (/** @type {string[]} */ lines) => lines.slice(start, lines.length - end);
  const node = linesOf([
    ...part(old).map((line) => /** @type {const} */ ([`- ${line}`, "removed"])),
    ...part(fresh).map((line) => /** @type {const} */ ([`+ ${line}`, "added"])),
  ]);
  node.classList.add("diff", "unnumbered");
  return node;
}
