// Which rows are shown.

import { OUTCOMES } from "../client/spans.js";
import { parseQuery } from "./query.js";
import { label } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */

/** What kinds are called by those who look for them. @type {Record<string, string>} */
const KINDS = { model: "llm", call: "tool" };
/** Durations that may be chosen, and their milliseconds: rows last longer than the shortest of those that are. */
export const LONGER = new Map([
  ["100 ms", 100],
  ["1 s", 1000],
  ["10 s", 10_000],
  ["1 min", 60_000],
]);
/** Characters of what is looked at in a row. */
const MOST_SEARCHED = 1_000_000;

export class Filter {
  #query = parseQuery("");
  /** Event names; empty for all. */
  events = /** @type {Set<string>} */ (new Set());
  /** Kinds of rows, tools and models; empty for all. */
  kinds = /** @type {Set<string>} */ (new Set());
  tools = /** @type {Set<string>} */ (new Set());
  models = /** @type {Set<string>} */ (new Set());
  /** Statuses; empty for all. */
  statuses = /** @type {Set<string>} */ (new Set());
  /** Names of `LONGER`; empty for all. */
  longer = /** @type {Set<string>} */ (new Set());
  /** Rows that a reader has folded, and steps that he has unfolded. */
  #folded = /** @type {Set<Row>} */ (new Set());
  #unfolded = /** @type {Set<Row>} */ (new Set());
  /** Whether steps that hold others are folded until a reader unfolds them. */
  foldsSteps = true;

  /** What is looked for, as it is written into the search. @param {string} text */
  set text(text) {
    this.#query = parseQuery(text);
  }

  /** What all must be found in a row, in any case. */
  get words() {
    return this.#query.words;
  }

  get isActive() {
    const { words, facets, durations } = this.#query;
    return words.length + facets.size + durations.length + this.choices > 0;
  }

  /** How many boxes are checked. */
  get choices() {
    return this.#chosen.reduce((sum, { size }) => sum + size, 0);
  }

  clear() {
    this.text = "";
    for (const set of this.#chosen) set.clear();
  }

  get #chosen() {
    return [this.events, this.kinds, this.tools, this.models, this.statuses, this.longer];
  }

  // Folding

  /** What a reader has folded and unfolded is of another run. */
  forget() {
    this.#folded.clear();
    this.#unfolded.clear();
  }

  /** Whether what is inside of a row is hidden. @param {Row} row */
  isFolded(row) {
    if (this.isActive || row.children === 0) return false; // whoever looks for something finds it wherever it is
    return this.#folded.has(row) || (this.foldsSteps && row.kind === "step" && !this.#unfolded.has(row));
  }

  /**
   * @param {Row} row
   * @param {boolean} away
   */
  fold(row, away) {
    this.#folded.delete(row);
    this.#unfolded.delete(row);
    (away ? this.#folded : this.#unfolded).add(row);
  }

  /** @param {boolean} folds whether steps are to be folded, all of them */
  foldSteps(folds) {
    this.foldsSteps = folds;
    this.forget();
  }

  // Choosing

  /** @param {Row} row */
  shows(row) {
    if (row.kind === "gap") return true; // what is missing is never left out
    for (let above = row.parent; above !== null; above = above.parent) {
      if (this.isFolded(/** @type {Row} */ (above))) return false;
    }
    return this.matches(row);
  }

  /** Whether a row is one of those that are looked for, folded or not. @param {Row} row */
  matches(row) {
    if (this.statuses.size > 0 && !this.statuses.has(row.status)) return false;
    if (this.events.size > 0 && !row.events.some(({ event }) => this.events.has(event))) return false;
    if (this.kinds.size > 0 && !this.kinds.has(row.kind)) return false;
    if (this.tools.size + this.models.size > 0 && !this.#isChosenCall(row)) return false;
    const { words, facets, durations } = this.#query;
    if (facets.size > 0 && ![...facets].every(([name, values]) => values.some((value) => isOf(row, name, value))))
      return false;
    if (durations.length + this.longer.size > 0 && !this.#lasts(row)) return false;
    return words.length === 0 || words.every((word) => searchedText(row).lower.includes(word));
  }

  /** @param {Row} row */
  #isChosenCall(row) {
    return (row.kind === "tool" && this.tools.has(row.name)) || (row.kind === "llm" && this.models.has(modelOf(row)));
  }

  /** @param {Row} row */
  #lasts({ duration }) {
    if (duration === null) return false;
    const shortest = Math.min(...[...this.longer].map((name) => LONGER.get(name) ?? 0));
    if (this.longer.size > 0 && duration <= shortest) return false;
    return this.#query.durations.every(({ isMore, ms }) => (isMore ? duration > ms : duration < ms));
  }
}

/** Of a model's call. @param {Row} row */
export function modelOf({ name, details }) {
  const model = details["gen_ai.request.model"] ?? details["gen_ai.response.model"];
  return typeof model === "string" && model !== "" ? model : name;
}

/**
 * @param {Row} row
 * @param {string} facet
 * @param {string} value in lower case
 */
function isOf(row, facet, value) {
  const has = (/** @type {string} */ text) => text.toLowerCase().includes(value);
  switch (facet) {
    case "kind":
      return row.kind === (KINDS[value] ?? value);
    case "status":
      return row.status === value || (OUTCOMES.has(row.outcome) && row.outcome === value);
    case "event":
      return row.events.some(({ event }) => has(event));
    case "model":
      return row.kind === "llm" && has(modelOf(row));
    default:
      return row.kind === facet && has(row.name);
  }
}

/**
 * What a reader reads of a row: its name, its events, and all texts and numbers of their details, without JSON's signs.
 * Made when it is needed, and again when the row has changed.
 *
 * @param {Row} row
 * @returns {{text: string, lower: string}}
 */
export function searchedText(row) {
  if (row.searched === null) {
    const parts = [label(row)];
    for (const { event, status, sequence, details } of row.events) {
      parts.push(`#${sequence} ${event} ${status}`);
      addTexts(details, parts, { left: MOST_SEARCHED });
    }
    const text = parts.join(" ");
    row.searched = { text, lower: text.toLowerCase() };
  }
  return row.searched;
}

/**
 * @param {unknown} value
 * @param {string[]} parts
 * @param {{left: number}} room
 */
function addTexts(value, parts, room) {
  if (room.left <= 0 || value === null || value === undefined) return;
  if (typeof value !== "object") {
    const text = String(value).slice(0, room.left);
    room.left -= text.length + 1;
    parts.push(text);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    if (!Array.isArray(value)) parts.push(key);
    addTexts(item, parts, room);
  }
}
