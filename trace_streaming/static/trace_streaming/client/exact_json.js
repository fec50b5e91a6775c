// JSON whose integers keep their digits: those that no number holds are BigInts.

/** Stands before digits in a text that takes the place of an integer; no text of anybody's begins with it. */
const MARK = `integer-${Math.random().toString(36).slice(2)}${Date.now()}:`;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, "g");
const LONG = /\d{16}/;
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG_INTEGER = /^-?\d{16,}$/;

/**
 * Like `JSON.parse`, but integers beyond 2^53 are BigInts.
 *
 * @param {string} text
 * @returns {any}
 */
export function parseExact(text) {
  if (!LONG.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKENS, (token) => {
    return LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token;
  });
  if (marked.length === text.length) return JSON.parse(text);
  return JSON.parse(marked, (_, value) => {
    return typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value;
  });
}

/**
 * Like `JSON.stringify`, also of BigInts.
 *
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string | undefined} as that function, of what JSON cannot say
 */
export function stringifyExact(value, indent) {
  let isMarked = false;
  const text = JSON.stringify(
    value,
    (_, inner) => {
      if (typeof inner !== "bigint") return inner;
      isMarked = true;
      return `${MARK}${inner}`;
    },
    indent,
  );
  return isMarked ? text.replace(MARKED, "$1") : text;
}
