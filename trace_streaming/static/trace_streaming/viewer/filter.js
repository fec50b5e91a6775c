// Which rows are shown.

import { stringifyExact } from "../client/exact_json.js";

/** @typedef {import("./row.js").Row} Row */

export class Filter {
  /** What all must be found in a row, in any case. */
  words = /** @type {string[]} */ ([]);
  /** Event names; empty for all. */
  events = /** @type {Set<string>} */ (new Set());
  /** Statuses; empty for all. */
  statuses = /** @type {Set<string>} */ (new Set());
  /** Rows whose children are folded away. */
  folded = /** @type {Set<Row>} */ (new Set());

  /** @param {string} text */
  set text(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
  }

  get isActive() {
    return this.words.length > 0 || this.events.size > 0 || this.statuses.size > 0;
  }

  /** Whether a row's change can change what is shown. */
  get isSelective() {
    return this.isActive || this.folded.size > 0;
  }

  clear() {
    this.words = [];
    this.events.clear();
    this.statuses.clear();
  }

  /** @param {Row} row */
  shows(row) {
    if (row.kind === "gap") return true; // what is missing is never left out
    if (this.folded.size > 0 && this.#isFolded(row)) return false;
    if (this.statuses.size > 0 && !this.statuses.has(row.status)) return false;
    if (this.events.size > 0 && !row.events.some(({ event }) => this.events.has(event))) return false;
    return this.words.length === 0 || this.#isFound(row);
  }

  /** @param {Row} row */
  #isFolded(row) {
    for (let above = row.parent; above !== null; above = above.parent) {
      if (this.folded.has(above)) return true;
    }
    return false;
  }

  /** @param {Row} row */
  #isFound(row) {
    row.searched ??= row.events
      .map(({ event, status, sequence, details }) => `#${sequence} ${event} ${status} ${stringifyExact(details)}`)
      .join(" ")
      .toLowerCase();
    const text = row.searched;
    return this.words.every((word) => text.includes(word));
  }
}
