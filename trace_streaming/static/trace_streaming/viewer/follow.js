// Whether the newest event is kept in view, and how many have come since it was not.

import { button, setText } from "./elements.js";
import { counted } from "./format.js";

export class Follow {
  isOn = false;
  /** How many events there were when the newest was last in view. */
  #seen = 0;
  #toggle;

  /**
   * @param {HTMLElement} toggle
   * @param {() => void} start
   */
  constructor(toggle, start) {
    this.#toggle = toggle;
    this.jump = button("down", "", start, { classes: "jump" });
  }

  /** @param {number} count of all events */
  see(count) {
    this.#seen = count;
  }

  /**
   * @param {boolean} isUseful
   * @param {number} count of all events
   * @param {boolean} isLive whether what comes is new, and not replayed
   */
  draw(isUseful, count, isLive) {
    if (this.isOn || !isLive) this.see(count);
    this.#toggle.hidden = !isUseful;
    this.#toggle.setAttribute("aria-pressed", String(this.isOn));
    const unseen = count - this.#seen;
    this.jump.hidden = !isUseful || this.isOn || unseen === 0;
    if (!this.jump.hidden) setText(this.jump.lastChild, counted(unseen, "new event"));
  }
}
