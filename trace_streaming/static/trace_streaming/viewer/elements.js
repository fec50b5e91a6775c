// Elements and icons, built without markup: whatever comes from a trace can only ever become text.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Properties that start with `aria` or `data`, or hold a dash, and `role` become attributes.
 *
 * @param {string} name as in `div.class-a.class-b`
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function element(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length > 0) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for" || key === "part") node.setAttribute(key, value);
    else /** @type {any} */ (node)[key] = value;
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/**
 * Has a menu close when the focus leaves it, and when Escape is pressed in it.
 *
 * @param {HTMLDetailsElement} menu
 */
export function closeByItself(menu) {
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget !== null && !menu.contains(/** @type {Node} */ (relatedTarget))) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    /** @type {HTMLElement} */ (menu.firstElementChild).focus();
  });
}

/**
 * Loads sheets into a shadow tree, each for itself: where a policy asks for a nonce, one that a sheet imports has none.
 *
 * @param {ShadowRoot} root
 * @param {string[]} urls in the order of the cascade
 * @param {string | undefined} nonce of the element
 * @param {() => void} loaded when all are there
 */
export function loadStyles(root, urls, nonce, loaded) {
  let waiting = urls.length;
  for (const href of urls) {
    const sheet = element("link", { rel: "stylesheet", href, nonce });
    sheet.addEventListener("load", () => {
      waiting -= 1;
      if (waiting === 0) loaded();
    });
    root.append(sheet);
  }
}

/** Drawn on 16 × 16 with a line of 1.5. */
const PATHS = {
  success: "M3.5 8.5 6.5 11.5 12.5 4.5",
  error: "M4.5 4.5 11.5 11.5M11.5 4.5 4.5 11.5",
  warning: "M8 2.6 14.2 13.2H1.8ZM8 6.8V9.6M8 11.4V11.5",
  pending: "M8 2.5A5.5 5.5 0 1 1 8 13.5 5.5 5.5 0 0 1 8 2.5M8 5V8L10 9.5",
  running: "M8 2.5A5.5 5.5 0 1 1 2.5 8",
  tool: "M3 4.5 6.5 8 3 11.5M8.5 11.5H13",
  llm: "M8 2.2 9.5 6.5 13.8 8 9.5 9.5 8 13.8 6.5 9.5 2.2 8 6.5 6.5Z",
  agent: "M3.5 6H12.5V13H3.5ZM8 6V3M8 2.9H8.1M6.2 9.4H6.3M9.7 9.4H9.8",
  step: "M2.5 8H5.5M10.5 8H13.5M5.5 5.5H10.5V10.5H5.5Z",
  plan: "M3 4H3.1M3 8H3.1M3 12H3.1M6 4H13.5M6 8H13.5M6 12H13.5",
  route: "M3 13V10A3 3 0 0 1 6 7H13M10 4 13 7 10 10M3 3V5",
  budget: "M3 12.2A5.8 5.8 0 1 1 13 12.2M8 9.5 10.8 6.2",
  approval: "M8 1.8 13 3.8V7.6C13 10.8 11 13.2 8 14.2 5 13.2 3 10.8 3 7.6V3.8ZM5.8 8 7.4 9.6 10.4 6.4",
  gap: "M2 8H3.5M6 8H7M9 8H10M12.5 8H14",
  event: "M8 5.5A2.5 2.5 0 1 1 8 10.5 2.5 2.5 0 0 1 8 5.5",
  end: "M4 14V2.5M4 3H12.5L10.5 6 12.5 9H4",
  search: "M7 2.5A4.5 4.5 0 1 1 7 11.5 4.5 4.5 0 0 1 7 2.5M10.3 10.3 13.5 13.5",
  copy: "M6 6H13.5V13.5H6ZM10 6V2.5H2.5V10H6",
  link: "M6.7 9.3 9.3 6.7M7.2 4.6 9 2.8A3 3 0 0 1 13.2 7L11.4 8.8M8.8 11.4 7 13.2A3 3 0 0 1 2.8 9L4.6 7.2",
  chevron: "M6 4 10 8 6 12",
  download: "M8 2.5V10M5 7 8 10 11 7M2.5 10.5V13.5H13.5V10.5",
  down: "M8 3V13M4 9 8 13 12 9",
  jump: "M3 3V7A3 3 0 0 0 6 10H13M10 7 13 10 10 13",
  filter: "M2.5 4H13.5M4.5 8H11.5M6.5 12H9.5",
  close: "M4.5 4.5 11.5 11.5M11.5 4.5 4.5 11.5",
  wrap: "M2.5 3.5H13.5M2.5 7.5H11A2.4 2.4 0 0 1 11 12.3H7.5M9.3 10.3 7.3 12.3 9.3 14.3",
  maximise: "M9.5 2.5H13.5V6.5M13.5 2.5 9 7M6.5 13.5H2.5V9.5M2.5 13.5 7 9",
  keyboard: "M1.8 4H14.2V12H1.8ZM4.2 6.5H4.3M6.7 6.5H6.8M9.2 6.5H9.3M11.7 6.5H11.8M5 9.5H11",
  offline: "M2 6.2A9 9 0 0 1 14 6.2M4.4 8.8A5.4 5.4 0 0 1 11.6 8.8M8 12H8.1M2.5 2 13.5 14",
  stop: "M4 4H12V12H4Z",
  pause: "M5.5 4V12M10.5 4V12",
  reset: "M3 3V6.5H6.5M3.2 6.4A5.3 5.3 0 1 1 2.8 9.4",
};

/**
 * @param {string} name of `PATHS`; an unknown one is that of a plain event
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  setIcon(svg, name);
  return svg;
}

/**
 * @param {SVGSVGElement} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  svg.setAttribute("class", `icon icon-${name}`);
  svg.firstElementChild?.setAttribute("d", /** @type {any} */ (PATHS)[name] ?? PATHS.event);
}

/**
 * Sets text only where it changed.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A button with an icon, a text, or both.
 *
 * @param {string} iconName
 * @param {string} label what it is called, shown or not
 * @param {() => void} press
 * @param {{shown?: boolean, classes?: string, key?: string}} [options] `key`: the shortcut, for the tooltip
 */
export function button(iconName, label, press, { shown = true, classes = "", key = "" } = {}) {
  const title = key ? `${label} (${key})` : label;
  const node = element("button", { type: "button", title, className: `button ${classes}` }, icon(iconName));
  if (shown) node.append(element("span.label", {}, label));
  else node.setAttribute("aria-label", label);
  node.addEventListener("click", press);
  return node;
}
