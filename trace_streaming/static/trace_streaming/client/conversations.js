// What a model was sent, whole: each call holds what is new, and names the earlier one that has what came before. The twin
// of `trace_streaming.events.conversations`; both run one table of cases.

import { idText } from "./spans.js";

/** @typedef {import("./trace_stream.d.ts").TraceEvent} TraceEvent */

const INPUT = "gen_ai.input.messages";
/** The role of what stands for messages that are not there; `count` says how many they are. */
const MISSING = "missing";
const MOST = 1e15;

/** The messages of a trace's model calls; fed with its events, in any order. */
export class Conversations {
  /** @type {Map<string, Record<string, unknown>>} details by call: the first that hold messages */
  #told = new Map();

  /** @param {Pick<TraceEvent, "details">} event */
  add({ details }) {
    const callId = idText(details.call_id);
    if (callId !== null && Object.hasOwn(details, INPUT) && !this.#told.has(callId)) this.#told.set(callId, details);
  }

  /**
   * All that a call has sent, oldest first; where some are not known, one with the role `missing`.
   *
   * @param {string} callId
   * @returns {unknown[]}
   */
  messages(callId) {
    const calls = /** @type {Record<string, unknown>[]} */ ([]);
    const seen = new Set();
    let missing = 0;
    for (let asked = /** @type {string | null} */ (callId); asked !== null; ) {
      const details = this.#told.get(asked);
      if (details === undefined || seen.has(asked)) {
        missing = calls.length > 0 ? whole(calls[calls.length - 1].history_count) : 0;
        break;
      }
      seen.add(asked);
      calls.push(details);
      asked = idText(details.history_call_id);
    }
    let messages = /** @type {unknown[]} */ (missing > 0 ? [absent(missing)] : []);
    calls.reverse().forEach((details, number) => {
      if (number > 0 || missing > 0) messages = first(messages, whole(details.history_count));
      const told = details[INPUT];
      messages = messages.concat(Array.isArray(told) ? told : [told]);
    });
    return messages;
  }
}

/**
 * The first so many; one that stands for others counts as them.
 *
 * @param {unknown[]} messages
 * @param {number} count
 */
function first(messages, count) {
  const kept = [];
  for (const message of messages) {
    if (count <= 0) break;
    const size = sizeOf(message);
    kept.push(size <= count ? message : absent(count));
    count -= size;
  }
  return count > 0 ? [...kept, absent(count)] : kept;
}

/** @param {any} message */
const sizeOf = (message) => (message?.role === MISSING ? whole(message.count) : 1);

/** @param {unknown} value */
function whole(value) {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && number >= 0 && number <= MOST ? Math.floor(number) : 0;
}

/** @param {number} count */
const absent = (count) => ({ role: MISSING, count, parts: [] });
