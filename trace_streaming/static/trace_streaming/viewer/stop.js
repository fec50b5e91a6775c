// Asks the agent to stop, and says what comes of it.

import { closeByItself, element, icon, setText } from "./elements.js";
import { formatElapsed } from "./format.js";

/** @typedef {{by: string, at: number, isReceived: boolean}} Stop what somebody has asked, and when, in milliseconds */

/** An agent that has not looked for so long does not listen, or is in the middle of something. */
const PATIENCE_MS = 10_000;

/**
 * What is asked of the run after one more of its events. An agent that goes on with something new, once it has heard,
 * does not stop: perhaps it is another run of the same trace.
 *
 * @param {Stop | null} stop before
 * @param {import("../client/trace_stream.d.ts").TraceEvent} event
 * @param {number} at
 * @returns {Stop | null}
 */
export function stopAfter(stop, { event, details }, at) {
  const by = typeof details.requested_by === "string" ? details.requested_by : "";
  if (event === "stop_requested") return { by, at, isReceived: false };
  if (stop === null) return null;
  if (event === "stop_received") return { ...stop, isReceived: true };
  return stop.isReceived && event.endsWith("_start") ? null : stop;
}

/**
 * How a run is that was asked to stop; null where nothing else is to be said than of any run.
 *
 * @param {Stop | null} stop
 * @param {{endState: string | null, isLive: boolean, now: number}} scene
 * @returns {{icon: string, kind: string, text: string} | null}
 */
export function stopState(stop, { endState, isLive, now }) {
  if (stop === null) return null;
  const by = stop.by === "" ? "" : ` by ${stop.by}`;
  if (endState !== null)
    return stop.isReceived && endState === "incomplete"
      ? { icon: "stop", kind: "warning", text: `Stopped${by}` }
      : null;
  if (!isLive) return null;
  const waited = now - stop.at;
  if (stop.isReceived || waited < PATIENCE_MS) return { icon: "running", kind: "warning", text: "Stopping" };
  return {
    icon: "warning",
    kind: "warning",
    text: `Asked to stop${by} ${formatElapsed(waited)} ago; it has not listened yet`,
  };
}

/** A button that opens a form: nobody stops an agent by a slip. */
export class StopMenu {
  #comment = element("input", {
    type: "text",
    maxLength: 2000,
    "aria-label": "Why it should stop",
    placeholder: "Why (optional)",
  });
  #problem = element("p.problem", { role: "alert", hidden: true });
  #ask = element("button.button.danger", { type: "submit" }, "Ask it to stop");
  #summary = element("summary", { title: "Stop the agent" }, icon("stop"), element("span.label", {}, "Stop"));
  element = element(
    "details.menu.stop",
    { hidden: true },
    this.#summary,
    element(
      "form.popup",
      {},
      element("p", {}, "The agent stops where it looks for this: usually before its next step."),
      this.#comment,
      this.#problem,
      this.#ask,
    ),
  );
  /** Whether it was asked from here; where the project stores no events of it, nothing else tells. */
  #isAsked = false;

  /** @param {(fields: Record<string, unknown>) => Promise<unknown>} send */
  constructor(send) {
    this.element.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#send(send);
    });
    closeByItself(this.element);
  }

  /** Of another run. */
  reset() {
    this.#isAsked = false;
  }

  /** What is known of requests, with what was asked from here. @param {Stop | null} stop @param {number} now */
  known(stop, now) {
    return stop ?? (this.#isAsked ? { by: "", at: now, isReceived: false } : null);
  }

  /** @param {boolean} canStop whether there is a run that may be asked, and was not */
  draw(canStop) {
    this.element.hidden = !canStop;
    if (!canStop) this.element.open = false;
  }

  /** @param {(fields: Record<string, unknown>) => Promise<unknown>} send */
  async #send(send) {
    this.#ask.disabled = true;
    this.#problem.hidden = true;
    try {
      const comment = this.#comment.value.trim();
      await send(comment === "" ? {} : { comment });
      this.#isAsked = true;
      this.element.open = false;
      this.#comment.value = "";
    } catch (error) {
      this.#problem.hidden = false;
      setText(this.#problem, /** @type {Error} */ (error).message);
    } finally {
      this.#ask.disabled = false;
    }
  }
}
