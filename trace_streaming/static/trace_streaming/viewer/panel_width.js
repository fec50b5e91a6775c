// How wide the details are: dragged, moved by keys, or all there is. A browser remembers it for its reader.

import { button, element } from "./elements.js";

const KEY = "trace-viewer-panel";
/** Pixels; CSS keeps room for the timeline. */
const NARROWEST = 320;
const STEP = 40;

export class PanelWidth {
  maximise = button("maximise", "Maximise details", () => this.#setWhole(!this.#isWhole), {
    shown: false,
    classes: "quiet maximise",
    key: "m",
  });
  handle = element("div.handle", {
    role: "separator",
    "aria-orientation": "vertical",
    "aria-label": "Width of the details",
    "aria-valuemin": "0",
    "aria-valuemax": "100",
    tabIndex: 0,
  });
  /** @type {HTMLElement | null} */
  #panel = null;
  #isWhole = false;

  /** @param {HTMLElement} panel */
  attach(panel) {
    this.#panel = panel;
    this.handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#drag(event));
    this.handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event));
    this.handle.addEventListener("dblclick", () => this.#set(null));
    const kept = Number(read());
    this.#set(kept >= NARROWEST ? kept : null);
  }

  toggle() {
    this.#setWhole(!this.#isWhole);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    event.preventDefault();
    this.handle.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ { clientX }) => {
      const { right } = /** @type {HTMLElement} */ (this.#panel).getBoundingClientRect();
      this.#set(Math.max(right - clientX, NARROWEST));
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
    const { width } = /** @type {HTMLElement} */ (this.#panel).getBoundingClientRect();
    this.#set(Math.max(width + step, NARROWEST));
  }

  /** @param {number | null} width null: as the sheet says */
  #set(width) {
    const panel = /** @type {HTMLElement} */ (this.#panel);
    if (width === null) panel.style.removeProperty("--panel-width");
    else panel.style.setProperty("--panel-width", `${Math.round(width)}px`);
    const { clientWidth } = panel.parentElement ?? panel;
    this.handle.setAttribute("aria-valuenow", String(Math.round((100 * panel.clientWidth) / Math.max(clientWidth, 1))));
    write(width);
  }

  /** @param {boolean} isWhole */
  #setWhole(isWhole) {
    this.#isWhole = isWhole;
    this.#panel?.classList.toggle("whole", isWhole);
    this.maximise.setAttribute("aria-pressed", String(isWhole));
  }
}

/** A page may not allow its viewer to keep anything. */
function read() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {number | null} width */
function write(width) {
  try {
    if (width === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, String(Math.round(width)));
  } catch {
    // Then it is so wide until the page is left.
  }
}
