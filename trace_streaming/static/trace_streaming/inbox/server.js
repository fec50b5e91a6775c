// What the inbox asks the server, and tells it.

import { parseExact, stringifyExact } from "../client/exact_json.js";

/** @typedef {import("../viewer/decision_form.js").Asked} Asked */

export class Server {
  #inbox;

  /** @param {HTMLElement} inbox whose attributes say where the server is */
  constructor(inbox) {
    this.#inbox = inbox;
  }

  /** @param {"open" | "decided"} state */
  listUrl(state) {
    return `${this.#inbox.getAttribute("source")}?state=${state}`;
  }

  /** @param {string} traceId */
  traceUrl(traceId) {
    return filled(this.#inbox.getAttribute("trace-url"), traceId);
  }

  /**
   * What is to be decided, as the server has stored it.
   *
   * @param {string} traceId
   * @param {string} approvalId
   * @returns {Promise<Asked>}
   */
  async read(traceId, approvalId) {
    const response = await fetch(this.#url(traceId, approvalId), {
      headers: { Accept: "application/json" },
      cache: "no-store",
    });
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return parseExact(await response.text());
  }

  /**
   * @param {string} traceId
   * @param {string} approvalId
   * @param {Record<string, unknown>} said
   */
  async decide(traceId, approvalId, said) {
    const response = await fetch(this.#url(traceId, approvalId), {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        [this.#inbox.getAttribute("csrf-header") || "X-CSRFToken"]: this.#inbox.getAttribute("csrf-token") ?? "",
      },
      body: /** @type {string} */ (stringifyExact(said)),
    });
    if (response.ok) return;
    const answer = await response.json().catch(() => ({}));
    throw new Error(typeof answer.detail === "string" ? answer.detail : `The server answers ${response.status}`);
  }

  /**
   * @param {string} traceId
   * @param {string} approvalId
   */
  #url(traceId, approvalId) {
    return filled(this.#inbox.getAttribute("approval-url"), traceId, approvalId);
  }
}

/**
 * @param {string | null} url
 * @param {string} traceId
 * @param {string} [approvalId]
 */
function filled(url, traceId, approvalId = "") {
  return (url ?? "")
    .replace("APPROVAL", () => encodeURIComponent(approvalId))
    .replace("TRACE", () => encodeURIComponent(traceId));
}
