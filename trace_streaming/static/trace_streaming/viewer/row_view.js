// One line of the timeline on the page. Made once, and shown for one row after another.

import { ApprovalCard } from "./approval.js";
import { element, icon, setIcon, setText } from "./elements.js";
import { formatDuration, formatElapsed, formatOffset } from "./format.js";
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
 * @property {Row | null} selected
 * @property {Set<Row>} folded
 * @property {import("../client/conversations.js").Conversations} conversations
 */

const INDENT_PX = 18;
const MAX_INDENTS = 8;
/** A bar is never thinner, as a part of its lane. */
const MIN_WIDTH = 0.003;

export class RowView {
  #shown = "";
  #sequence = element("span.sequence", { role: "gridcell" });
  #time = element("span.time", { role: "gridcell" });
  #fold = element("span.fold", {}, icon("chevron"));
  #icon = icon("event");
  #label = element("span.label");
  #preview = element("span.preview");
  #usage = element("span.usage");
  #main = element(
    "span.main",
    { role: "gridcell" },
    ...[this.#fold, this.#icon, this.#label, this.#preview, this.#usage],
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
    const { hasEnded, selected, folded } = this.scene;
    const key = `${row.index} ${row.version} ${row.depth} ${row.children} ${index} ${hasEnded} ${row === selected} ${folded.has(row)}`;
    if (key !== this.#shown) {
      this.#shown = key;
      this.#describe(row, index);
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
   */
  #describe(row, index) {
    const { selected, folded, origin } = this.scene;
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
    if (row.children > 0) element.setAttribute("aria-expanded", String(!folded.has(row)));
    else element.removeAttribute("aria-expanded");
    setText(this.#sequence, row.first ? String(row.first.sequence) : "");
    setText(this.#time, row.first ? formatOffset(row.start - origin) : "");
    setText(this.#label, label(row));
    setText(this.#preview, preview(row));
    setText(this.#usage, usage(row));
    setText(this.#statusText, text);
    setIcon(this.#statusIcon, status);
    setIcon(this.#icon, row.kind);
    this.#fold.hidden = row.children === 0;
    this.#main.style.paddingInlineStart = `${Math.min(row.depth, MAX_INDENTS) * INDENT_PX}px`;
    this.#card.show(row.kind === "approval" ? row : null, isOver(row, this.scene), this.scene.canDecide);
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
