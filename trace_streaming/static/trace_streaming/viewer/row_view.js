// One line of the timeline on the page. Made once, and shown for one row after another.

import { ApprovalCard } from "./approval.js";
import { element, icon, setIcon, setText } from "./elements.js";
import { searchedText } from "./filter.js";
import { formatDuration, formatElapsed, formatNumber, formatOffset } from "./format.js";
import { excerpt, partsOf } from "./matches.js";
import { isOver, label, outcome, preview, usage } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */
/** @typedef {import("./timescale.js").TimeScale} TimeScale */

/**
 * What all rows need to know.
 *
 * @typedef {object} Scene
 * @property {TimeScale} scale
 * @property {number} origin when the trace began
 * @property {number} now in the server's time
 * @property {boolean} hasEnded
 * @property {boolean} isUnfinished whether it has, and nobody has said how
 * @property {boolean} canDecide whether approvals may be decided here
 * @property {string} refusal why not
 * @property {Row | null} selected
 * @property {import("./filter.js").Filter} filter
 * @property {import("../client/conversations.js").Conversations} conversations
 */

const INDENT_PX = 18;
const MAX_INDENTS = 8;
/** Rows inside of a folded one. */
const MOST_LOOKED = 1000;
/** A bar is never thinner, as a part of its lane. */
const MIN_WIDTH = 0.003;

export class RowView {
  #shown = "";
  #sequence = element("span.sequence", { role: "gridcell" });
  #time = element("span.time", { role: "gridcell" });
  #fold = element("span.fold", {}, icon("chevron"));
  #icon = icon("event");
  #label = element("span.label");
  #inside = element("span.inside");
  #preview = element("span.preview");
  #usage = element("span.usage");
  #main = element(
    "span.main",
    { role: "gridcell" },
    ...[this.#fold, this.#icon, this.#label, this.#inside, this.#preview, this.#usage],
  );
  #statusIcon = icon("pending");
  #statusText = element("span");
  #status = element("span.status", { role: "gridcell" }, this.#statusIcon, this.#statusText);
  #duration = element("span.duration", { role: "gridcell" });
  #bar = element("span.bar");
  #lane = element("span.lane", { role: "gridcell", "aria-hidden": "true" }, this.#bar);
  #card = new ApprovalCard();

  /** @param {Scene} scene */
  constructor(scene) {
    this.scene = scene;
    this.element = element(
      "div.row",
      { role: "row" },
      ...[this.#sequence, this.#time, this.#main, this.#status, this.#duration, this.#lane, this.#card.element],
    );
  }

  /**
   * @param {Row} row
   * @param {number} index among the rows that are shown
   */
  show(row, index) {
    const { hasEnded, selected, filter } = this.scene;
    const isFolded = filter.isFolded(row);
    const key = `${row.index} ${row.version} ${row.depth} ${row.children} ${index} ${hasEnded} ${row === selected} ${isFolded} ${filter.words.join(" ")}`;
    if (key !== this.#shown) {
      this.#shown = key;
      this.#describe(row, index, isFolded);
    }
    this.#place(row);
  }

  /** There is no row to show. */
  hide() {
    if (this.#shown === "") return;
    this.#shown = "";
    this.element.hidden = true;
    this.element.id = "";
  }

  /**
   * @param {Row} row
   * @param {number} index
   * @param {boolean} isFolded
   */
  #describe(row, index, isFolded) {
    const { selected, origin } = this.scene;
    const { status, text } = outcome(row, isOver(row, this.scene));
    const { element } = this;
    element.className = `row kind-${row.kind} ${status}`;
    element.hidden = false;
    element.id = `row-${row.index}`;
    element.dataset.index = String(index);
    element.dataset.sequences = row.events.map(({ sequence }) => sequence).join(" ");
    element.setAttribute("aria-rowindex", String(index + 2)); // the heads are the first
    element.setAttribute("aria-selected", String(row === selected));
    element.setAttribute("aria-level", String(row.depth + 1));
    if (row.children > 0) element.setAttribute("aria-expanded", String(!isFolded));
    else element.removeAttribute("aria-expanded");
    setText(this.#sequence, row.first ? String(row.first.sequence) : "");
    setText(this.#time, row.first ? formatOffset(row.start - origin) : "");
    this.#name(row);
    setText(this.#inside, isFolded ? `+${formatNumber(row.children)}` : "");
    this.#inside.classList.toggle("error", isFolded && hasFailedInside(row));
    setText(this.#usage, usage(row));
    setText(this.#statusText, text);
    setIcon(this.#statusIcon, status);
    setIcon(this.#icon, row.kind);
    this.#fold.hidden = row.children === 0;
    this.#main.style.paddingInlineStart = `${Math.min(row.depth, MAX_INDENTS) * INDENT_PX}px`;
    this.#card.show(row.kind === "approval" ? row : null, isOver(row, this.scene), this.scene.canDecide);
  }

  /** What it is called and says; of what is looked for, the text around that, marked. @param {Row} row */
  #name(row) {
    const { words } = this.scene.filter;
    const [name, said] = [label(row), preview(row)];
    if (words.length === 0) {
      setText(this.#label, name);
      setText(this.#preview, said);
      return;
    }
    const isSeen = words.some((word) => said.toLowerCase().includes(word));
    const around = isSeen || row.kind === "gap" ? said : (excerpt(searchedText(row).text, words) ?? said);
    this.#label.replaceChildren(...marked(name, words));
    this.#preview.replaceChildren(...marked(around, words));
  }

  /**
   * What moves with time.
   *
   * @param {Row} row
   */
  #place(row) {
    const { scale, now, hasEnded } = this.scene;
    const isGrowing = row.isOpen && !hasEnded;
    if (isGrowing) setText(this.#duration, formatElapsed(now - row.start));
    else setText(this.#duration, row.duration === null ? "" : formatDuration(row.duration));
    if (row.kind === "approval") this.#card.tick(row, now, hasEnded);
    if (row.kind === "gap") return;
    const end = row.end ?? (hasEnded ? row.start : Math.max(now, row.start));
    const [left, right] = [scale.place(row.start), scale.place(end)];
    const isPoint = !row.isSpan && row.kind !== "approval";
    this.#lane.classList.toggle("before", right < 0);
    this.#lane.classList.toggle("after", left > 1);
    this.#bar.classList.toggle("point", isPoint);
    this.#bar.classList.toggle("growing", isGrowing);
    const from = Math.min(Math.max(left, 0), 1 - MIN_WIDTH);
    this.#bar.style.left = `${from * 100}%`;
    this.#bar.style.width = isPoint ? "" : `${Math.max(Math.min(right, 1) - from, MIN_WIDTH) * 100}%`;
    this.#bar.hidden = right < 0 || left > 1;
  }
}

/** @param {string} text @param {readonly string[]} words */
const marked = (text, words) =>
  partsOf(text, words).map(({ text, isMatch }) => (isMatch ? element("mark", {}, text) : text));

/** Whether something that is folded away has failed. @param {Row} row */
function hasFailedInside(row) {
  const inside = /** @type {Row[]} */ ([...row.inside]);
  for (let looked = 0; inside.length > 0 && looked < MOST_LOOKED; looked += 1) {
    const next = /** @type {Row} */ (inside.pop());
    if (next.status === "error") return true;
    inside.push(.../** @type {Row[]} */ (next.inside));
  }
  return false;
}
