// Which key does what; help.js says it to the reader.

/** @typedef {import("./timeline.js").Timeline} Timeline */

/**
 * @param {KeyboardEvent} event
 * @param {Timeline} timeline
 * @param {Record<string, () => void>} actions by key
 * @param {(isSearch: boolean) => void} escape
 */
export function press(event, timeline, actions, escape) {
  const target = /** @type {HTMLElement} */ (event.target);
  const isSearch = target.matches("input[type=search]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Escape on a button that decides loses nothing that was written, as it would in a field.
  const isLeaving = event.key === "Escape" && target.matches("form.decision button");
  if (target.closest("dialog, form") && !isLeaving) return;
  if (event.key === "Escape") return escape(isSearch);
  if (isSearch) return;
  if (Object.hasOwn(actions, event.key)) {
    actions[event.key]();
    event.preventDefault();
  } else if (!target.closest(".panel, .toolbar")) {
    timeline.press(event);
  } else if (!target.closest(".toolbar") && (event.key === "j" || event.key === "k")) {
    timeline.move(event.key === "j" ? 1 : -1);
  }
}
