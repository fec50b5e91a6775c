// What a bar of the timeline stands for, where the pointer rests on it.

import { element, setText } from "./elements.js";
import { formatClock, formatDuration, zoneAt } from "./format.js";
import { label, usage } from "./summary.js";

/** @typedef {import("./row.js").Row} Row */

const DELAY_MS = 150;

/**
 * How long a row took itself, without what is inside of it, and what part of its parent's time it took.
 *
 * @param {Row} row
 * @param {number} now until when what is open has taken
 * @returns {{own: number, share: number | null}} milliseconds; 0 to 1, null where it has no parent that takes time
 */
export function timesOf(row, now) {
  const end = row.end ?? now;
  let own = 0;
  let at = row.start;
  for (const inside of [...row.inside].sort((one, other) => one.start - other.start)) {
    const from = Math.min(Math.max(inside.start, at), end);
    own += from - at;
    at = Math.max(at, Math.min(/** @type {Row} */ (inside).end ?? now, end));
  }
  own += Math.max(end - at, 0);
  const parent = /** @type {Row | null} */ (row.parent);
  const whole = parent === null ? 0 : (parent.end ?? now) - parent.start;
  return { own, share: whole > 0 ? Math.min((end - row.start) / whole, 1) : null };
}

export class HoverCard {
  #title = element("div.hover-title");
  #facts = element("dl");
  #timer = 0;
  element = element("div.hover-card", { role: "tooltip", hidden: true }, this.#title, this.#facts);

  /**
   * @param {HTMLElement} grid of the rows
   * @param {(target: Element) => Row | undefined} rowOf
   * @param {() => import("./row_view.js").Scene} sceneOf
   */
  constructor(grid, rowOf, sceneOf) {
    grid.addEventListener("pointerover", (event) => {
      const target = /** @type {Element} */ (event.target);
      if (event.pointerType !== "mouse" || target.closest(".rows .lane") === null) return this.#hide();
      const row = rowOf(target);
      if (row === undefined || row.kind === "gap") return this.#hide();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#show(row, event, sceneOf()), DELAY_MS);
    });
    grid.addEventListener("pointerleave", () => this.#hide());
    grid.addEventListener("scroll", () => this.#hide(), { passive: true });
    grid.addEventListener("pointerdown", () => this.#hide());
  }

  #hide() {
    clearTimeout(this.#timer);
    this.element.hidden = true;
  }

  /**
   * @param {Row} row
   * @param {PointerEvent} event
   * @param {import("./row_view.js").Scene} scene
   */
  #show(row, { clientX, clientY }, { now, hasEnded }) {
    const until = hasEnded ? Math.max(row.start, row.end ?? row.start) : now;
    const { own, share } = timesOf(row, until);
    const end = row.isOpen ? "…" : formatClock(row.end ?? row.start);
    const facts = [["Start", `${formatClock(row.start)} ${zoneAt(row.start)}`]];
    if (row.isSpan || row.kind === "approval") {
      facts.push(["End", end], ["Duration", formatDuration(row.duration ?? until - row.start)]);
      if (row.children > 0) facts.push(["Own time", formatDuration(own)]);
      if (share !== null) facts.push(["Of its parent", `${Math.round(share * 100)} %`]);
    }
    const used = usage(row);
    if (used !== "") facts.push(["Used", used]);
    setText(this.#title, label(row));
    this.#facts.replaceChildren(
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
    this.element.hidden = false;
    const { left, top, width, height } = /** @type {HTMLElement} */ (
      this.element.parentElement
    ).getBoundingClientRect();
    const card = this.element.getBoundingClientRect();
    const below = clientY - top + 18;
    this.element.style.left = `${Math.max(Math.min(clientX - left + 12, width - card.width - 8), 8)}px`;
    this.element.style.top = `${below + card.height > height ? Math.max(clientY - top - card.height - 12, 4) : below}px`;
  }
}
