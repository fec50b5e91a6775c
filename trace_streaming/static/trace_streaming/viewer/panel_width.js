// How wide the details are: dragged, moved by keys, or all there is.

import { DraggedWidth } from "./dragged_width.js";
import { button } from "./elements.js";

export class PanelWidth {
  maximise = button("maximise", "Maximise details", () => this.toggle(), {
    shown: false,
    classes: "quiet maximise",
    key: "m",
  });
  #dragged = new DraggedWidth({
    key: "trace-viewer-panel",
    property: "--panel-width",
    label: "Width of the details",
    narrowest: 320,
  });
  /** @type {HTMLElement | null} */
  #panel = null;
  #isWhole = false;

  get handle() {
    return this.#dragged.handle;
  }

  /** @param {HTMLElement} panel */
  attach(panel) {
    this.#panel = panel;
    this.#dragged.attach(panel);
  }

  toggle() {
    this.#isWhole = !this.#isWhole;
    this.#panel?.classList.toggle("whole", this.#isWhole);
    this.maximise.setAttribute("aria-pressed", String(this.#isWhole));
  }
}
