// The traces that are known, in the order in which they are shown. What was shown once stays, until the server has it no more.

/**
 * As the REST API has it.
 *
 * @typedef {object} Trace
 * @property {string} trace_id
 * @property {"running" | "success" | "error" | "incomplete"} state
 * @property {string | null} owner
 * @property {string} started_at
 * @property {number} duration_ms
 * @property {number} error_count
 * @property {string} name
 * @property {string} conversation
 * @property {string[]} tags
 * @property {Record<string, any>} metadata
 * @property {number} model_calls
 * @property {number} tool_calls
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number | null} cost
 */

export class Traces {
  /** @type {Map<string, Trace>} */
  #known = new Map();

  /** @param {Trace[]} page older ones */
  add(page) {
    for (const trace of page) this.#known.set(trace.trace_id, trace);
  }

  /**
   * Takes what the server has now: its newest, and those that run.
   *
   * @param {Trace[]} newest
   * @param {Trace[]} running
   * @param {boolean} isAll whether there are none behind the newest
   */
  update(newest, running, isAll) {
    const now = new Map([...running, ...newest].map((trace) => [trace.trace_id, trace]));
    const oldest = newest.at(-1)?.started_at ?? "";
    for (const { trace_id: id, started_at } of this.#known.values()) {
      if (!now.has(id) && (isAll || started_at > oldest)) this.#known.delete(id); // it was deleted, or fits no more
    }
    this.add([...now.values()]);
  }

  /** @param {string} traceId */
  remove(traceId) {
    this.#known.delete(traceId);
  }

  /**
   * Those that ran when they were last seen, and are in neither answer.
   *
   * @param {Trace[]} seen
   */
  unseen(seen) {
    const ids = new Set(seen.map(({ trace_id }) => trace_id));
    return [...this.#known.values()].filter(({ state, trace_id }) => state === "running" && !ids.has(trace_id));
  }

  /** Those that run first, the newest first among them and among all others. */
  get ordered() {
    return [...this.#known.values()].sort(
      (one, other) =>
        Number(other.state === "running") - Number(one.state === "running") ||
        compare(other.started_at, one.started_at) ||
        compare(other.trace_id, one.trace_id),
    );
  }
}

/**
 * @param {string} one
 * @param {string} other
 */
const compare = (one, other) => Number(one > other) - Number(one < other);
