// Links and pictures of a trace: neither opens, loads or runs anything that a reader does not see.

import { element } from "../elements.js";

const OPENED = new Set(["http:", "https:", "mailto:"]);
/** Pictures that cannot hold a script, as a `data:` URL. */
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+$/;
/** The host and the beginning of the path are what tells a reader where a link leads. */
const LONGEST_TITLE = 300;

/**
 * A link that shows where it leads, or, where that is no address of the web, a text that says so.
 *
 * @param {string} href
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function linkTo(href, children) {
  if (!isOpened(href)) return element("span.no-link", {}, ...children, href === "" ? "" : ` (${href})`);
  const title = href.slice(0, LONGEST_TITLE);
  return element("a", { href, title, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

/**
 * A picture that the text holds itself; of one that lies elsewhere its name and a link: loading it would tell them.
 *
 * @param {string} href
 * @param {string} name
 * @returns {HTMLElement}
 */
export function picture(href, name) {
  const kind = /^data:(image\/[\w.+-]{1,40});/.exec(href);
  if (kind !== null && !isPicture(href)) {
    const why = href.endsWith("characters]") ? "which was too large to be kept" : "which is not shown here";
    return element("span.no-link", {}, `An image (${kind[1]}), ${why}.`);
  }
  if (kind === null) return linkTo(href, [`Image: ${name || href}`]);
  const image = element("img", { src: href, alt: name || "An image in the trace", loading: "lazy" });
  // A page's content security policy may not allow it.
  image.addEventListener("error", () => image.replaceWith("An image, which cannot be shown here."), { once: true });
  return image;
}

/** @param {string} text */
export const isPicture = (text) => text.startsWith("data:image/") && PICTURE.test(text);

/** @param {string} href */
function isOpened(href) {
  try {
    return OPENED.has(new URL(href).protocol);
  } catch {
    return false; // an address within the site would lead to nothing of the trace
  }
}
