// What the connection, or the trace that has ended, is called.

import { formatNumber } from "./format.js";

/** @typedef {import("../client/trace_stream.d.ts").TraceStream} TraceStream */

const ENDED = {
  success: { icon: "success", kind: "success", text: "Ended: success" },
  error: { icon: "error", kind: "error", text: "Ended: error" },
  incomplete: { icon: "warning", kind: "warning", text: "Ended: incomplete" },
};

/**
 * @param {TraceStream | null} stream
 * @param {string | null} endState of the trace
 * @param {boolean} [isUnknown] whether the server knows nothing of such a trace
 * @param {boolean} [isUnreachable] whether there was no connection yet, and an attempt has failed
 * @returns {{icon: string, kind: string, text: string}}
 */
export function connectionState(stream, endState, isUnknown = false, isUnreachable = false) {
  switch (stream?.state) {
    case "ended":
      return /** @type {any} */ (ENDED)[endState ?? ""] ?? ENDED.incomplete;
    case "live":
      return isUnknown
        ? { icon: "pending", kind: "pending", text: "Not begun" }
        : { icon: "event", kind: "live", text: "Live" };
    case "replaying":
      return { icon: "running", kind: "pending", text: `Loading${progress(stream)}` };
    case "reconnecting":
      return { icon: "offline", kind: "warning", text: `Reconnecting${countdown(stream)}` };
    case "refused":
      return { icon: "error", kind: "error", text: "Disconnected" };
    default:
      return isUnreachable
        ? { icon: "offline", kind: "warning", text: "No connection" }
        : { icon: "running", kind: "pending", text: "Connecting" };
  }
}

/**
 * How much of the replay is here, 0 to 1; 1 when there is none.
 *
 * @param {TraceStream | null} stream
 */
export function replayed(stream) {
  if (stream?.state !== "replaying" || stream.head === 0) return 1;
  return (stream.position ?? 0) / stream.head;
}

/**
 * What comes after the last event: its end, or what is waited for.
 *
 * @param {TraceStream | null} stream
 * @param {string | null} endState of the trace
 */
export function whatFollows(stream, endState) {
  switch (stream?.state) {
    case "ended":
      return endState === "incomplete" ? "The trace was left unfinished." : `End of the trace: ${endState}.`;
    case "live":
      return stream.profile === "plain"
        ? "Waiting for the next event. This connection does not tell when the trace ends."
        : "Waiting for the next event.";
    case "reconnecting":
      return `The connection was lost after event ${stream.position ?? 0}. What follows is shown when it is back.`;
    case "refused":
      return "The server has closed the connection. There may be more.";
    default:
      return "";
  }
}

/** @param {TraceStream} stream */
function progress({ position, head }) {
  return head >= 1000 ? ` ${formatNumber(position ?? 0)} of ${formatNumber(head)}` : "";
}

/** @param {TraceStream} stream */
function countdown({ retryAt }) {
  const seconds = retryAt === null ? 0 : Math.ceil((retryAt - Date.now()) / 1000);
  return seconds > 1 ? ` in ${seconds} s` : "";
}
