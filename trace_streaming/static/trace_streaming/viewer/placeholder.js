// What is said where there is nothing to show.

import { element, icon, setText } from "./elements.js";

export class Placeholder {
  #text = element("p");
  #hint = element("p.hint");
  element = element("div.placeholder", {}, icon("event"), this.#text, this.#hint);

  /**
   * @param {{rows: number, shown: number, state: string | undefined}} moment rows of the run, how many of them are
   *   shown, and the state of the stream
   */
  draw({ rows, shown, state }) {
    const [text, hint] = shown > 0 ? ["", ""] : rows > 0 ? NO_MATCH : (NOTHING[state ?? ""] ?? CONNECTING);
    this.element.hidden = text === "";
    this.element.classList.toggle("waiting", rows === 0 && state !== "refused");
    setText(this.#text, text);
    setText(this.#hint, hint);
  }
}

const CONNECTING = ["Connecting to the trace.", ""];
const NO_MATCH = ["No event matches.", "Press Escape to show all of them."];
/** @type {Record<string, string[]>} by the stream's state */
const NOTHING = {
  unreachable: [
    "There is no connection to the trace yet; it is tried again.",
    "The server is away, or it speaks no WebSocket (manage.py runserver does with daphne in INSTALLED_APPS), or a proxy lets none through.",
  ],
  refused: ["Nothing can be shown.", "The server has closed the connection."],
  ended: ["The trace ended without an event.", ""],
  unknown: ["There is no trace of this id yet.", "Should one begin, it appears here by itself."],
  live: ["Waiting for the first event.", "It appears here as soon as it is emitted."],
};
