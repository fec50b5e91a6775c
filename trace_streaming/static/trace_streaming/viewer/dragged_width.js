// A width that a reader drags by a handle, or moves by its arrow keys. A browser remembers it for its reader.

import { element } from "./elements.js";

const STEP = 40;

export class DraggedWidth {
  handle;
  #key;
  #property;
  #narrowest;
  #edge;
  /** @type {HTMLElement | null} what has the property */
  #target = null;
  /** Whose width it is. */
  #measured = () => /** @type {Element} */ (this.#target);

  /**
   * @param {object} names
   * @param {string} names.key under which it is remembered
   * @param {string} names.property of CSS, in pixels
   * @param {string} names.label of the handle
   * @param {number} names.narrowest pixels; the sheet bounds how wide it is
   * @param {"left" | "right"} [names.edge] which edge of it stays where it is
   */
  constructor({ key, property, label, narrowest, edge = "right" }) {
    this.#key = key;
    this.#property = property;
    this.#narrowest = narrowest;
    this.#edge = edge;
    this.handle = element("div.handle", {
      role: "separator",
      "aria-orientation": "vertical",
      "aria-label": label,
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      tabIndex: 0,
    });
    this.handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#drag(event));
    this.handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event));
    this.handle.addEventListener("dblclick", () => this.#set(null));
    this.handle.addEventListener("click", (/** @type {Event} */ event) => event.stopPropagation());
  }

  /**
   * @param {HTMLElement} target gets the property
   * @param {() => Element} [measured] what is so wide
   */
  attach(target, measured = () => target) {
    this.#target = target;
    this.#measured = measured;
    const kept = Number(read(this.#key));
    this.#set(kept >= this.#narrowest ? kept : null);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    event.preventDefault();
    this.handle.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ { clientX }) => {
      const { left, right } = this.#measured().getBoundingClientRect();
      this.#set(Math.max(this.#edge === "right" ? right - clientX : clientX - left, this.#narrowest));
    };
    this.handle.addEventListener("pointermove", move);
    this.handle.addEventListener("lostpointercapture", () => this.handle.removeEventListener("pointermove", move), {
      once: true,
    });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = { ArrowLeft: STEP, ArrowRight: -STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows move among rows elsewhere
    const { width } = this.#measured().getBoundingClientRect();
    this.#set(Math.max(width + (this.#edge === "right" ? step : -step), this.#narrowest));
  }

  /** @param {number | null} width null: as the sheet says */
  #set(width) {
    const target = /** @type {HTMLElement} */ (this.#target);
    if (width === null) target.style.removeProperty(this.#property);
    else target.style.setProperty(this.#property, `${Math.round(width)}px`);
    const whole = Math.max(target.parentElement?.clientWidth ?? target.clientWidth, 1);
    const share = Math.round((100 * this.#measured().clientWidth) / whole);
    this.handle.setAttribute("aria-valuenow", String(Math.min(share, 100)));
    write(this.#key, width);
  }
}

/**
 * A page may not allow its viewer to keep anything.
 *
 * @param {string} key
 */
function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {number | null} width
 */
function write(key, width) {
  try {
    if (width === null) localStorage.removeItem(key);
    else localStorage.setItem(key, String(Math.round(width)));
  } catch {
    // Then it is so wide until the page is left.
  }
}
