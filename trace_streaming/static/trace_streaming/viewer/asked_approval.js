// What is to be decided, as the server has stored it.

import { parseExact } from "../client/exact_json.js";

/** @typedef {import("./decision_form.js").Asked} Asked */

/**
 * @param {string} socketUrl of the trace's socket: the API stands beside it
 * @param {string} approvalId
 * @returns {Promise<Asked>}
 */
export async function readApproval(socketUrl, approvalId) {
  const url = new URL(socketUrl, location.href);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = `${url.pathname.replace("/ws/traces/", "/api/traces/")}/approvals/${encodeURIComponent(approvalId)}`;
  url.search = "";
  const response = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return parseExact(await response.text());
}
