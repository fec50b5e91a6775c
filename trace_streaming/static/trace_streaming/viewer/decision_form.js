// Where a human answers an agent: approve, approve with other arguments, or reject.

import { parseExact, stringifyExact } from "../client/exact_json.js";
import { button, element, setText } from "./elements.js";

/** @typedef {import("./row.js").Row} Row */
/** @typedef {(fields: Record<string, unknown>) => Promise<unknown>} Decide sends a `decide` command */

const INDENT = 2;

export class DecisionForm {
  #arguments = element("textarea.arguments", { spellcheck: false, "aria-label": "Arguments, as JSON", rows: 5 });
  #comment = element("input.comment", {
    type: "text",
    maxLength: 2000,
    placeholder: "Comment (optional)",
    "aria-label": "Comment",
  });
  #approve = button("success", "Approve", () => this.#decide(this.#isEdited ? "edited" : "approved"), {
    classes: "approve",
  });
  #reject = button("error", "Reject", () => this.#decide("rejected"), { classes: "reject" });
  #complaint = element("p.complaint", { role: "alert", hidden: true });
  #asked = "";
  /** @type {Row | null} */
  #row = null;

  element = element(
    "form.decision",
    { hidden: true, "aria-label": "Decide" },
    this.#arguments,
    this.#comment,
    this.#complaint,
    element("span.buttons", {}, this.#approve, this.#reject),
  );

  /** @param {Decide} decide */
  constructor(decide) {
    this.decide = decide;
    this.element.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    this.#arguments.addEventListener("input", () => this.#name());
  }

  /** @param {Row | null} row an approval to decide, or none */
  show(row) {
    this.element.hidden = row === null;
    if (row === this.#row) return;
    this.#row = row;
    if (row === null) return;
    const allowed = allowedDecisions(row);
    this.#asked = /** @type {string} */ (stringifyExact(row.first.details.arguments ?? {}, INDENT));
    this.#arguments.value = this.#asked;
    this.#arguments.hidden = !allowed.includes("edited");
    this.#approve.hidden = !allowed.includes("approved") && !allowed.includes("edited");
    this.#reject.hidden = !allowed.includes("rejected");
    this.#comment.value = "";
    this.#complain(null);
    this.#name();
  }

  get #isEdited() {
    return this.#arguments.value !== this.#asked;
  }

  #name() {
    setText(this.#approve.lastChild, this.#isEdited ? "Approve with changes" : "Approve");
    const allowed = this.#row === null ? [] : allowedDecisions(this.#row);
    this.#approve.disabled = !allowed.includes(this.#isEdited ? "edited" : "approved");
  }

  /** @param {string} decision */
  async #decide(decision) {
    const row = this.#row;
    if (row === null) return;
    /** @type {Record<string, unknown>} */
    const fields = { approval_id: row.first.details.approval_id, decision, comment: this.#comment.value };
    this.#complain(null);
    try {
      if (decision === "edited") fields.edited = parseArguments(this.#arguments.value);
      await this.decide(fields);
    } catch (error) {
      if (row === this.#row) this.#complain(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string | null} message */
  #complain(message) {
    this.#complaint.hidden = message === null;
    setText(this.#complaint, message ?? "");
  }
}

/**
 * @param {Row} row
 * @returns {string[]}
 */
function allowedDecisions(row) {
  const { allowed } = row.first.details;
  return Array.isArray(allowed) ? allowed : [];
}

/**
 * Whether an approval is open, and was asked for in a way that the server can decide.
 *
 * @param {Row} row
 */
export function canBeDecided(row) {
  return row.kind === "approval" && row.isOpen && allowedDecisions(row).length > 0;
}

/** @param {string} text */
function parseArguments(text) {
  let value;
  try {
    value = parseExact(text);
  } catch (error) {
    throw new Error(`The arguments are not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("The arguments are a JSON object");
  return value;
}
