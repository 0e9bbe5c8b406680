// @ts-check
// Times as people say them.
import * as words from "./words.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(words.LANGUAGE, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(words.LANGUAGE, { day: "numeric", month: "long", year: "numeric" });
const exact = new Intl.DateTimeFormat(words.LANGUAGE, { dateStyle: "full", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(words.LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });

/** When a place was taken: ids and cursors begin with their time. @param {string} place */
export function timeOf(place) {
  return new Date(parseInt(place.slice(0, 8) + place.slice(9, 13), 16));
}

/** "14:03" @param {Date} time */
export function clockTime(time) {
  return clock.format(time);
}

/** "Saturday, November 22, 2026 at 2:03:07 PM" @param {Date} time */
export function exactTime(time) {
  return exact.format(time);
}

/** "Nov 22, 2026, 2:03:07 PM" @param {Date} time */
export function shortTime(time) {
  return short.format(time);
}

/** "Today", "Yesterday", "Friday, November 20", "March 3, 2021" @param {Date} time */
export function dayName(time) {
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (sameDay(time, now)) return words.today;
  if (sameDay(time, yesterday)) return words.yesterday;
  return (time.getFullYear() === now.getFullYear() ? weekday : dayOfYear).format(time);
}

/** @param {Date} one @param {Date} other */
export function sameDay(one, other) {
  return one.toDateString() === other.toDateString();
}

/** Calls `changed` at the beginning of each day. @param {() => void} changed */
export function onNewDay(changed) {
  const now = new Date();
  setTimeout(() => {
    changed();
    onNewDay(changed);
  }, new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() - now.getTime());
}
