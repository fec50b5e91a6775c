// The rows, their axis and the overview: what is drawn of a run, and how one moves in it.

import { Axis } from "./axis.js";
import { element, setText } from "./elements.js";
import { Overview } from "./overview.js";
import { WIDE, fitRows } from "./row_heights.js";
import { RowView } from "./row_view.js";
import { indexAfter, indexOfError } from "./steps.js";
import { HoverCard } from "./hover_card.js";
import { TimeScale } from "./timescale.js";
import { Breaks, waitsOf } from "./waits.js";
import { VirtualList } from "./virtual_list.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./row.js").Row} Row */
/** @typedef {import("./filter.js").Filter} Filter */

const AT_END_PX = 24;
/** Room beside the first and the newest event, as a part of the trace. */
const ROOM = 0.015;

export class Timeline {
  #axis = new Axis();
  #body = element("div.rows", { role: "rowgroup" });
  /** What comes after the last row. */
  #foot = element("span", { role: "gridcell" });
  #grid = element(
    "div.grid",
    { role: "treegrid", tabIndex: 0, "aria-label": "Events", "aria-rowcount": "1" },
    element("div", { role: "rowgroup", className: "heads" }, this.#axis.element),
    this.#body,
    element("div", { role: "rowgroup" }, element("div.foot", { role: "row" }, this.#foot)),
  );
  #overview = new Overview(
    (from, to) => this.#zoom({ from, to }),
    (time) => this.#goTo(time),
    () => this.#zoom(null),
    () => this.told.changed(),
  );
  #hover = new HoverCard(
    this.#grid,
    (target) => this.#list.items[indexIn(target)],
    () => this.scene,
  );
  element = element("div.timeline", {}, this.#overview.element, this.#grid, this.#hover.element);
  /** Whether waits for a human have a sliver of the room. */
  squeezes = true;
  /** @type {import("./waits.js").Part[]} */
  #waits = [];
  #waitsOf = "";
  /** The part that the timeline shows; null for all. */
  zoomed = /** @type {{from: number, to: number} | null} */ (null);
  #whole = new TimeScale(0, 1);
  /** How many of the run's rows were looked at, and how often they had changed their order then. */
  #taken = 0;
  #reordered = 0;
  /** How often a row had become of another kind then. */
  #renamed = 0;
  #lastScroll = 0;
  #heights = WIDE;
  /** @type {VirtualList<Row>} */
  #list;

  /**
   * @param {Run} run
   * @param {Filter} filter
   * @param {{select: (row: Row | null) => void, scrolled: (atEnd: boolean, back: boolean) => void,
   *   changed: () => void}} told
   */
  constructor(run, filter, told) {
    this.run = run;
    this.filter = filter;
    this.told = told;
    /** @type {import("./row_view.js").Scene} */
    this.scene = {
      scale: this.#whole,
      origin: 0,
      now: 0,
      hasEnded: false,
      isUnfinished: false,
      canDecide: false,
      refusal: "",
      selected: null,
      filter,
      conversations: run.conversations,
    };
    this.#list = new VirtualList(
      this.#grid,
      this.#body,
      () => new RowView(this.scene),
      ({ kind }) => (kind === "approval" ? this.#heights.card : this.#heights.row),
    );
    this.#axis.attach(this.#grid);
    this.#grid.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#body.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#click(event));
    new ResizeObserver(() => this.resize()).observe(this.#grid);
  }

  /** How many rows the filter lets through. */
  get shown() {
    return this.#list.items.length;
  }

  /** @param {Run} run */
  setRun(run) {
    this.run = run;
    this.scene.conversations = run.conversations;
    this.zoomed = null;
    this.filter.forget();
    this.refilter();
  }

  /** The filter has changed. */
  refilter() {
    this.#taken = this.run.rows.length;
    this.#reordered = this.run.reordered;
    this.#renamed = this.run.renamed;
    this.#list.replace(this.run.rows.filter((row) => this.filter.shows(row)));
  }

  /** The room has changed. */
  resize() {
    const heights = fitRows(this.#grid);
    if (heights !== this.#heights) {
      this.#heights = heights;
      this.#list.reset();
      if (this.scene.selected !== null) this.reveal(this.scene.selected);
    }
    this.told.changed();
  }

  /** @param {{now: number, hasEnded: boolean, isUnfinished: boolean, following: boolean, foot: string}} moment */
  draw({ now, hasEnded, isUnfinished, following, foot }) {
    setText(this.#foot, foot);
    this.#takeRows();
    const { run, scene } = this;
    const end = hasEnded ? run.end : now;
    const breaks = this.squeezes ? Breaks.of(this.#findWaits(end), end - run.start) : new Breaks();
    const room = Math.max(new TimeScale(run.start, end, breaks).shown * ROOM, 0.001);
    this.#whole = new TimeScale(run.start - room, end + room, breaks);
    scene.scale = this.zoomed === null ? this.#whole : new TimeScale(this.zoomed.from, this.zoomed.to, breaks);
    Object.assign(scene, { origin: run.start, now, hasEnded, isUnfinished });
    this.#grid.setAttribute("aria-rowcount", String(this.shown + 1));
    this.element.classList.toggle("empty", run.events.length === 0);
    if (following) this.#grid.scrollTop = this.#grid.scrollHeight;
    this.#lastScroll = this.#grid.scrollTop;
    this.#list.render();
    this.#axis.draw(scene.scale, run.start);
    if (run.start > 0) this.#overview.draw(run, this.#whole, scene.scale, end);
    const active = this.#body.querySelector("[aria-selected=true]:not([hidden])");
    if (active !== null) this.#grid.setAttribute("aria-activedescendant", active.id);
    else this.#grid.removeAttribute("aria-activedescendant"); // nothing is selected, or it is out of view
  }

  /** Whether the trace has waits that are worth squeezing. */
  get hasWaits() {
    return !Breaks.of(this.#waits, this.#whole.span).isEmpty;
  }

  /**
   * Asked with each frame: only where somebody was asked, and once for the same events; what is open waits on.
   *
   * @param {number} end
   */
  #findWaits(end) {
    const { run } = this;
    if (!run.rowsByKind.get("approval")) return (this.#waits = []);
    const key = `${run.events.length} ${run.start} ${run.openApprovals > 0 ? Math.floor(end / 250) : ""}`;
    if (key !== this.#waitsOf) this.#waits = waitsOf(run.rows, end);
    this.#waitsOf = key;
    return this.#waits;
  }

  focus() {
    this.#grid.focus({ preventScroll: true });
  }

  /**
   * Bring a row into view, out of what is folded or filtered away.
   *
   * @param {Row} row
   */
  reveal(row) {
    this.#takeRows();
    for (let above = row.parent; above !== null; above = above.parent) {
      if (this.filter.isFolded(/** @type {Row} */ (above))) this.filter.fold(/** @type {Row} */ (above), false);
    }
    if (!this.#list.items.includes(row)) this.refilter();
    const index = this.#list.items.indexOf(row);
    if (index >= 0) this.#list.scrollTo(index, true);
  }

  /** @param {number} step rows up or down from the selected one */
  move(step) {
    const { items } = this.#list;
    if (items.length === 0) return;
    const { selected } = this.scene;
    let index = selected === null ? -1 : items.indexOf(selected);
    if (index < 0) index = (step > 0 ? this.#list.range()[0] : this.#list.range()[1]) - Math.sign(step);
    const to = indexAfter(items, index, step);
    if (to === null) return;
    this.told.select(items[to]);
    this.#list.scrollTo(to);
  }

  /**
   * The next row with an error among those that the filter lets through, from the first again behind the last.
   *
   * @param {number} step 1 or -1
   */
  nextError(step) {
    const rows = this.run.rows.filter((row) => row.kind !== "gap" && this.filter.matches(row)); // folded ones, too
    const { selected } = this.scene;
    const index = indexOfError(rows, selected === null ? null : rows.indexOf(selected), step);
    return index === null ? null : rows[index];
  }

  /** @param {number} factor below 1 shows less */
  zoomBy(factor) {
    const { scale, selected } = this.scene;
    const centre =
      selected === null ? (scale.from + scale.to) / 2 : (selected.start + (selected.end ?? selected.start)) / 2;
    this.#zoom(scale.zoomed(centre, factor, this.#whole));
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const page = Math.max(Math.floor(this.#grid.clientHeight / this.#heights.row) - 2, 1);
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1),
      j: () => this.move(1),
      k: () => this.move(-1),
      PageDown: () => this.move(page),
      PageUp: () => this.move(-page),
      Home: () => this.move(-this.shown),
      End: () => this.move(this.shown),
      Enter: () => this.scene.selected === null && this.move(1),
      ArrowLeft: () => this.#fold(true),
      ArrowRight: () => this.#fold(false),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    actions[event.key]();
    event.preventDefault();
  }

  /** Rows that have come, and rows that are no longer what they were. */
  #takeRows() {
    const changed = this.run.takeChanges();
    const { rows } = this.run;
    const { reordered, renamed } = this.run;
    const isOther = reordered !== this.#reordered || renamed !== this.#renamed;
    if (isOther || (changed.size > 0 && this.filter.isActive)) this.refilter();
    if (this.#taken === rows.length) return;
    const fresh = this.#taken === 0 ? rows : rows.slice(this.#taken);
    this.#taken = rows.length;
    this.#list.append(fresh.filter((row) => this.filter.shows(row)));
  }

  /** @param {boolean} away */
  #fold(away) {
    const { selected } = this.scene;
    if (selected === null) return;
    if (away && (selected.children === 0 || this.filter.isFolded(selected))) {
      if (selected.parent !== null) this.told.select(selected.parent);
      return;
    }
    this.#toggle(selected, away);
  }

  /**
   * @param {Row} row
   * @param {boolean} away
   */
  #toggle(row, away) {
    this.filter.fold(row, away);
    this.refilter();
    this.told.changed();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const row = this.#list.items[indexIn(target)];
    if (row === undefined || row.kind === "gap" || target.closest(".card-actions")) return;
    if (target.closest(".fold")) this.#toggle(row, !this.filter.isFolded(row));
    else this.told.select(row);
    this.focus();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#grid;
    if (scrollTop === this.#lastScroll) return;
    const back = scrollTop < this.#lastScroll;
    this.#lastScroll = scrollTop;
    this.told.scrolled(scrollTop + clientHeight >= scrollHeight - AT_END_PX, back);
  }

  /** @param {{from: number, to: number} | null} part */
  #zoom(part) {
    this.zoomed = part;
    this.told.changed();
  }

  /** @param {number} time */
  #goTo(time) {
    const { items } = this.#list;
    const index = items.findIndex((row) => (row.end ?? Infinity) >= time);
    if (index < 0) return;
    this.told.scrolled(false, true);
    this.#list.scrollTo(index, true);
    this.told.changed();
  }
}

/** Of the row that something on the page is in; NaN where it is in none. @param {Element} target */
const indexIn = (target) => Number(/** @type {HTMLElement | null} */ (target.closest(".row"))?.dataset.index);
