// The keys.

import { button, element } from "./elements.js";

const KEYS = [
  ["↑ ↓  or  j k", "Previous and next row"],
  ["Home End Page ↑ ↓", "Further"],
  ["Enter", "Open details"],
  ["m", "Maximise the details"],
  ["w", "Wrap the lines of texts, or do not"],
  ["a  /  r", "To the next approval: approve, reject"],
  ["← →", "Fold and unfold nested calls"],
  ["e  /  Shift e", "Next and previous error"],
  ["/", 'Search: words, "a phrase", tool:bash, model:gpt, kind:step, status:error, >1s'],
  ["f", "Follow new events"],
  ["+ −", "Zoom the timeline"],
  ["0", "Show the whole trace"],
  ["Esc", "Close details, clear the filter"],
];

/** @returns {HTMLDialogElement} */
export function helpDialog() {
  const dialog = element("dialog.help", { "aria-label": "Keyboard" });
  dialog.append(
    element(
      "header",
      {},
      element("h2", {}, "Keyboard"),
      button("close", "Close", () => dialog.close(), { shown: false, classes: "quiet" }),
    ),
    element(
      "dl",
      {},
      ...KEYS.flatMap(([keys, text]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, text)]),
    ),
  );
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && dialog.close());
  return dialog;
}
