// How the dashboard writes values; what is not known is a dash.

import { formatCount, formatDuration, formatNumber } from "../viewer/format.js";

const UNKNOWN = "–";
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const DECIMAL = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** @typedef {(value: number | null | undefined) => string} Format */

/**
 * @param {(value: number) => string} format
 * @returns {Format}
 */
const known = (format) => (value) => (value === null || value === undefined ? UNKNOWN : format(value));

/** What is not all is not 100 %, and what is not nothing not 0 %. */
export const percent = known((value) => {
  if (value > 0 && value < 0.0005) return "<0.1%";
  return value < 1 && value >= 0.9995 ? ">99.9%" : PERCENT.format(value);
});
export const duration = known(formatDuration);
export const decimal = known((value) => DECIMAL.format(value));
export const whole = known(formatNumber);
/** With a letter for thousands. */
export const count = known(formatCount);

/**
 * @param {number} seconds since 1970
 * @param {number} step seconds between two times that are told apart
 */
export function moment(seconds, step = 60) {
  const date = new Date(seconds * 1000);
  if (step >= 86_400) return DAY.format(date);
  return (step < 60 ? SECONDS : TIME).format(date);
}

/** @param {number} seconds since 1970 */
export const dayAndTime = (seconds) => `${DAY.format(seconds * 1000)}, ${TIME.format(seconds * 1000)}`;
