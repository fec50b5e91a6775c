// Menus of things to take along: a row as text, a whole trace as a file.

import { stringifyExact } from "../client/exact_json.js";
import { asMarkdown, asText, runAsMarkdown } from "./as_text.js";
import { closeByItself, element, icon } from "./elements.js";
import { copy } from "./json_tree.js";

/** @typedef {import("./row.js").Row} Row */

/**
 * A menu that closes when something of it was pressed, or Escape.
 *
 * @param {string} iconName
 * @param {string} label
 * @param {HTMLElement[]} items
 * @param {string} classes
 */
function menu(iconName, label, items, classes) {
  const summary = element("summary", { title: label }, icon(iconName), element("span.label", {}, label));
  const list = element("div.popup.actions", {}, ...items);
  const node = element("details.menu", {}, summary, list);
  node.classList.add(...classes.split(" "));
  list.addEventListener("click", () => (node.open = false));
  closeByItself(node);
  return node;
}

/** @param {() => Row | null} rowOf what is copied */
export function copyMenu(rowOf) {
  const item = (/** @type {string} */ label, /** @type {(row: Row) => string} */ write) => {
    const node = element("button", { type: "button" }, label);
    node.addEventListener("click", () => {
      const row = rowOf();
      if (row !== null) copy(made.firstElementChild, write(row));
    });
    return node;
  };
  const made = menu(
    "copy",
    "Copy",
    [
      item("As text", asText),
      item("As Markdown", (row) => asMarkdown(row)),
      item(
        "As JSON",
        ({ events }) => /** @type {string} */ (stringifyExact(events.length === 1 ? events[0] : events, 2)),
      ),
    ],
    "copy-menu icon-only",
  );
  return made;
}

/**
 * @param {() => string} urlOf of the trace's socket: the API stands beside it
 * @param {() => {name: string, rows: Row[]}} runOf
 */
export function exportMenu(urlOf, runOf) {
  const file = (/** @type {string} */ label, /** @type {string} */ format) => {
    const node = element("a", { download: "" }, label);
    node.addEventListener("click", () => (node.href = exportUrl(urlOf(), format)));
    node.href = "#"; // so that it has the focus; the address is that of the moment
    return node;
  };
  const markdown = element("button", { type: "button" }, "Markdown");
  markdown.addEventListener("click", () => {
    const { name, rows } = runOf();
    const url = URL.createObjectURL(new Blob([runAsMarkdown(name, rows)], { type: "text/markdown" }));
    element("a", { href: url, download: `${name}.md` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  return menu(
    "download",
    "Export",
    [file("JSON lines", "jsonl"), file("Perfetto", "chrome"), file("OpenTelemetry", "otlp"), markdown],
    "export-menu icon-only",
  );
}

/**
 * @param {string} socketUrl
 * @param {string} format
 */
function exportUrl(socketUrl, format) {
  const url = new URL(socketUrl, location.href);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = `${url.pathname.replace("/ws/traces/", "/api/traces/")}/export/`;
  url.search = `?format=${format}`;
  return url.href;
}
