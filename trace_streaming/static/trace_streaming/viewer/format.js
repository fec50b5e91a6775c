// How times, sizes and names are written.

import { stringifyExact } from "../client/exact_json.js";

export { parseTime, possibleDuration } from "../client/spans.js";

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
/** Milliseconds, and what is written with all digits. */
const LONGEST = 1e15;
/** The last day that a `Date` has, in milliseconds since 1970. */
const LAST = 8.64e15;
const JOINER = "\u200d";
const JOINED = /^[\p{M}\p{EMod}\u200d\ufe0f]/u;
/** Code units that are looked at: no emoji has as many; a text may. */
const MOST_JOINED = 32;
const NUMBER = new Intl.NumberFormat("en");

/** @param {number} number */
export const formatNumber = (number) => (Math.abs(number) < LONGEST ? NUMBER.format(number) : number.toExponential(2));

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** With a letter for thousands and millions: `1.8k`. @param {number} number */
export const formatCount = (number) => COMPACT.format(number).replace("K", "k");

/**
 * The beginning of a text, without half of an emoji, of a flag or of a letter with its accents.
 *
 * @param {string} text
 * @param {number} length
 */
export function cut(text, length) {
  if (text.length <= length) return text;
  let end = length;
  while (end > Math.max(length - MOST_JOINED, 0) && isInside(text, end)) end -= 1;
  return text.slice(0, end || length);
}

/**
 * @param {string} text
 * @param {number} at
 */
function isInside(text, at) {
  const isHalf = /[\udc00-\udfff]/.test(text[at]) && /[\ud800-\udbff]/.test(text[at - 1]);
  if (isHalf || text[at - 1] === JOINER || JOINED.test(text.slice(at, at + 2))) return true;
  const flags = /\p{RI}*$/u.exec(text.slice(Math.max(at - MOST_JOINED, 0), at));
  return /^\p{RI}/u.test(text.slice(at, at + 2)) && ((flags?.[0].length ?? 0) / 4) % 1 !== 0;
}

/**
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun) => `${NUMBER.format(count)} ${noun}${count === 1 ? "" : "s"}`;

const ZONED = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full",
  timeStyle: "long",
});

/** With the day and the zone, in which all times are shown. @param {number} time */
export const formatMoment = (time) => (isTime(time) ? ZONED.format(time) : UNKNOWN);
/** @param {number} time */
export const formatClock = (time) => (isTime(time) ? CLOCK.format(time) : UNKNOWN);
/** @param {number} time */
export const formatDate = (time) => (isTime(time) ? DATE.format(time) : UNKNOWN);
/** The zone in which a time is shown, as it is called then: `CET`, `GMT+1`. @param {number} time */
export const zoneAt = (time) =>
  isTime(time) ? (ZONE.formatToParts(time).find(({ type }) => type === "timeZoneName")?.value ?? "") : "";
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
/** @param {number} time */
const isTime = (time) => Math.abs(time) <= LAST;
const UNKNOWN = "–";

/** @param {number} milliseconds */
export function formatDuration(milliseconds) {
  if (milliseconds < 0.0005) return "0 ms";
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 10) return `${trimmed(milliseconds, 1)} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 9.995) return `${trimmed(seconds, 2)} s`;
  if (seconds < 59.95) return `${trimmed(seconds, 1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes}m ${padded(Math.round(seconds) % 60)}s`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h ${padded(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.floor(minutes / 60) % 24}h`;
}

/**
 * Like a duration, but with as many digits all along, so that it does not jump while it grows.
 *
 * @param {number} milliseconds
 */
export function formatElapsed(milliseconds) {
  return milliseconds < 59_950 ? `${(Math.max(milliseconds, 0) / 1000).toFixed(1)} s` : formatDuration(milliseconds);
}

/**
 * Since the beginning of the trace.
 *
 * @param {number} milliseconds
 */
export function formatOffset(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return seconds.toFixed(3);
  const whole = Math.floor(seconds);
  const minutes = `${Math.floor(whole / 60) % 60}:${padded(whole % 60)}`;
  if (whole < 3600) return `${minutes}.${String(Math.floor((seconds % 1) * 10))}`;
  return `${Math.floor(whole / 3600)}:${minutes.padStart(5, "0")}`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${trimmed(bytes / 1000, 1)} kB` : `${trimmed(bytes / 1e6, 1)} MB`;
}

/** @param {string} text */
export const byteLength = (text) => new TextEncoder().encode(text).length;

/** @param {string} name an event's */
export function formatName(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What has a text shown in another order than it is in: no writing needs it, and a file's name may hide its end by it. */
const REORDERING = /[\u202a-\u202e\u2066-\u2069]/g;

/** Whether what is seen of a text may be in another order. @param {string} text */
export const isReordered = (text) => text.search(REORDERING) >= 0;

/**
 * The same text, in which what would change its order is seen, as JSON may write it.
 *
 * @param {string} text
 */
export const inOrder = (text) => text.replace(REORDERING, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`);

/**
 * A value on one line.
 *
 * @param {unknown} value
 * @param {number} [limit] characters
 */
export function oneLine(value, limit = 240) {
  const text = cut(inWords(value, limit), limit * 2);
  return inOrder(cut(text.replace(/\s+/g, " ").trim(), limit));
}

/**
 * A text as it is; lists and objects of plain values without JSON's punctuation.
 *
 * @param {any} value
 * @param {number} limit
 * @returns {string}
 */
function inWords(value, limit) {
  if (typeof value === "string") return cut(value, limit * 2);
  if (value === null || typeof value !== "object") return stringifyExact(value) ?? "";
  const inner = (/** @type {any} */ item) => {
    return cut(typeof item === "string" ? item : (stringifyExact(item) ?? ""), limit);
  };
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.slice(0, limit).map(inner).join(", ");
  const pairs = Object.entries(value).slice(0, limit);
  return pairs.length === 0 ? "{}" : pairs.map(([key, item]) => `${key}: ${inner(item)}`).join(", ");
}

/**
 * @param {number} number
 * @param {number} digits
 */
const trimmed = (number, digits) => String(Number(number.toFixed(digits)));
/** @param {number} number */
const padded = (number) => String(number).padStart(2, "0");
