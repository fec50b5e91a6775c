// Where a human answers an agent: approve, approve with other arguments, or reject.
//
// What is decided is what the server has stored, and not what an event says of it: it is read when the form opens, and
// the decision names the hash of what was shown.

import { idText } from "../client/spans.js";
import { ArgumentFields } from "./argument_fields.js";
import { button, element, setText } from "./elements.js";
import { inOrder } from "./format.js";

/** @typedef {import("./row.js").Row} Row */
/** @typedef {(fields: Record<string, unknown>) => Promise<unknown>} Decide sends a `decide` command */
/**
 * @typedef {object} Asked an approval as the server has stored it
 * @property {string} action
 * @property {string} tool_name
 * @property {string} risk_level
 * @property {unknown} arguments
 * @property {unknown} [schema] of the arguments
 * @property {string} arguments_hash
 * @property {string[]} allowed
 */
/** @typedef {(approvalId: string) => Promise<Asked>} Read asks the server what is to be decided */

/** Until what could not be read is asked for again. */
const AGAIN_MS = 2000;

export class DecisionForm {
  #what = element("p.asked");
  #arguments = new ArgumentFields(() => this.#name());
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
  #respond = button("warning", "Answer", () => this.#decide("responded"), { classes: "respond" });
  #complaint = element("p.complaint", { role: "alert", hidden: true });
  /** @type {Asked | null} */
  #asked = null;
  /** @type {string | null} */
  #approvalId = null;
  #timer = 0;
  /** The button that is to have the focus. @type {"approve" | "reject" | null} */
  #wanted = null;

  element = element(
    "form.decision",
    { hidden: true, "aria-label": "Decide" },
    this.#what,
    this.#arguments.element,
    this.#comment,
    this.#complaint,
    element("span.buttons", {}, this.#approve, this.#reject, this.#respond),
  );

  /**
   * @param {Decide} decide
   * @param {Read} read
   */
  constructor(decide, read) {
    this.decide = decide;
    this.read = read;
    this.element.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  }

  /** @param {string | null} approvalId of one to decide, or none */
  show(approvalId) {
    this.element.hidden = approvalId === null;
    if (approvalId === this.#approvalId) return this.#focusWanted();
    clearTimeout(this.#timer);
    this.#approvalId = approvalId;
    if (approvalId === null) return;
    this.#comment.value = "";
    this.#complain(null);
    this.#fill(null);
    this.#load(approvalId);
  }

  /** @param {string} approvalId */
  async #load(approvalId) {
    try {
      const asked = await this.read(approvalId);
      if (approvalId !== this.#approvalId) return;
      this.#complain(null);
      this.#fill(asked);
    } catch (error) {
      if (approvalId !== this.#approvalId) return;
      this.#complain(`What is asked cannot be read: ${/** @type {Error} */ (error).message}`);
      this.#timer = setTimeout(() => this.element.isConnected && this.#load(approvalId), AGAIN_MS);
    }
  }

  /** @param {Asked | null} asked nothing can be decided before it is known */
  #fill(asked) {
    this.#asked = asked;
    const allowed = asked?.allowed ?? [];
    setText(
      this.#what,
      asked === null
        ? "Reading what is asked …"
        : inOrder(
            [...new Set([asked.action, asked.tool_name, `${asked.risk_level} risk`])].filter(Boolean).join(" · "),
          ),
    );
    this.#arguments.element.hidden = asked === null;
    this.#arguments.show(asked?.arguments, asked?.schema, !allowed.includes("edited"));
    this.#approve.hidden = asked !== null && !allowed.includes("approved") && !allowed.includes("edited");
    this.#reject.hidden = asked !== null && !allowed.includes("rejected");
    this.#reject.disabled = asked === null;
    this.#respond.hidden = !allowed.includes("responded");
    this.#name();
    this.#focusWanted();
  }

  /**
   * @param {string} approvalId that is shown, or will be
   * @param {"approve" | "reject"} what the button that is to have the focus once it can be pressed
   */
  focusSoon(approvalId, what) {
    this.#wanted = what;
    if (approvalId === this.#approvalId) this.#focusWanted();
  }

  #focusWanted() {
    const isSeen = this.element.offsetParent !== null;
    if (this.#wanted === null || this.#asked === null || !isSeen) return;
    (this.#wanted === "approve" ? this.#approve : this.#reject).focus();
    this.#wanted = null;
  }

  get #isEdited() {
    return this.#arguments.isEdited;
  }

  #name() {
    setText(this.#approve.lastChild, this.#isEdited ? "Approve with changes" : "Approve");
    const allowed = this.#asked?.allowed ?? [];
    this.#approve.disabled = !allowed.includes(this.#isEdited ? "edited" : "approved");
  }

  /** @param {string} decision */
  async #decide(decision) {
    const approvalId = this.#approvalId;
    if (approvalId === null || this.#asked === null) return;
    /** @type {Record<string, unknown>} */
    const fields = {
      approval_id: approvalId,
      arguments_hash: this.#asked.arguments_hash,
      decision,
      comment: this.#comment.value,
    };
    this.#complain(null);
    try {
      if (decision === "edited") fields.edited = this.#arguments.value;
      await this.decide(fields);
    } catch (error) {
      if (approvalId === this.#approvalId) this.#complain(/** @type {Error} */ (error).message);
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
  const isNamed = row.kind === "approval" && idText(row.first.details.approval_id) !== null;
  return isNamed && row.isOpen && allowedDecisions(row).length > 0;
}
