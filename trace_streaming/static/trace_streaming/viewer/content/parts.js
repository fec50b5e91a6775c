// The parts of messages and results, in the words of whoever made them: texts and pictures.

/** What a part of text is called. */
export const TEXTS = new Set(["text", "input_text", "output_text"]);

/** Where it is said what a file is: by OpenTelemetry and Gemini, MCP, Anthropic and Pydantic AI, and Vercel's AI SDK. */
const TYPES = ["mime_type", "mimeType", "media_type", "mediaType"];
/** Where a part, or what is inside of it under one of the first, holds a file. */
const HOLDERS = ["source", "inline_data", "inlineData"];
const CONTENTS = ["data", "content", "base64", "image"];
const ADDRESSES = ["image_url", "url", "uri", "image"];
/** How the files begin, as base64, that come without a word on what they are. */
const BEGINNINGS = { iVBORw0KGgo: "png", "/9j/": "jpeg", R0lGOD: "gif", UklGR: "webp" };

/**
 * The address of the picture that a part is, which may hold it itself; null where it is none.
 *
 * @param {unknown} part
 * @returns {string | null}
 */
export function imageUrl(part) {
  if (part === null || typeof part !== "object" || Array.isArray(part)) return null;
  const told = /** @type {Record<string, unknown>} */ (part);
  const holders = [told, ...HOLDERS.map((name) => told[name])].filter(isObject);
  const type = textIn(holders, TYPES);
  if (!type.startsWith("image/") && ![told.type, told.kind, told.modality].some(isNamedImage)) return null;
  const content = textIn(holders, CONTENTS);
  const found = type || typeOf(content);
  if (content !== "" && found !== "" && !hasScheme(content)) return `data:${found};base64,${content}`;
  return addressIn(holders) || null;
}

/** @param {unknown} value */
const isObject = (value) => value !== null && typeof value === "object";

/** `image`, `image_url`, `image-url`, `input_image`, `computer_screenshot` @param {unknown} name */
const isNamedImage = (name) =>
  typeof name === "string" && /^(?:input_|output_)?image(?:[_-]url)?$|_screenshot$/.test(name);

/** @param {string} text */
const hasScheme = (text) => /^[a-z][a-z0-9+.-]*:/i.test(text);

/** @param {string} content */
const typeOf = (content) => {
  const found = Object.entries(BEGINNINGS).find(([beginning]) => content.startsWith(beginning));
  return found === undefined ? "" : `image/${found[1]}`;
};

/**
 * The first text that one of them has under one of the names.
 *
 * @param {any[]} holders
 * @param {string[]} names
 * @returns {string}
 */
function textIn(holders, names) {
  for (const holder of holders) {
    for (const name of names) if (typeof holder[name] === "string" && holder[name] !== "") return holder[name];
  }
  return "";
}

/**
 * OpenAI has it as a text, or inside of an object.
 *
 * @param {any[]} holders
 */
function addressIn(holders) {
  const inside = holders.map((holder) => holder.image_url).filter(isObject);
  const address = textIn([...holders, ...inside], ADDRESSES);
  return hasScheme(address) ? address : "";
}

/**
 * The parts of a content that has texts and pictures alone, as MCP and the makers of models have it; null: it has others.
 *
 * @param {any} told
 * @returns {any[] | null}
 */
export function partsIn(told) {
  const parts = Array.isArray(told) ? told : told?.content;
  const isContent = Array.isArray(parts) && parts.length > 0 && parts.every((part) => isText(part) || isImage(part));
  return isContent ? parts : null;
}

/** Whether a part has nothing to show but its text. @param {any} part */
function isText(part) {
  if (part === null || typeof part !== "object") return false;
  const { type, text, ...others } = part;
  return TEXTS.has(type) && typeof text === "string" && Object.values(others).every(isEmpty);
}

/** @param {unknown} part */
const isImage = (part) => imageUrl(part) !== null;

/** @param {unknown} value */
export const isEmpty = (value) =>
  value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0);
