// @ts-check
// Times as people say them.
import * as words from "./words.js";

/** They go by the time zone in which they were made; and all by one clock, of 12 hours or 24, as the reader's language has it. */
function makeFormats() {
  const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
  const { hourCycle } = clock.resolvedOptions();
  return {
    clock,
    weekday: new Intl.DateTimeFormat(words.LANGUAGE, { weekday: "long", day: "numeric", month: "long" }),
    dayOfYear: new Intl.DateTimeFormat(words.LANGUAGE, { day: "numeric", month: "long", year: "numeric" }),
    exact: new Intl.DateTimeFormat(words.LANGUAGE, { dateStyle: "full", timeStyle: "medium", hourCycle }),
    short: new Intl.DateTimeFormat(words.LANGUAGE, { dateStyle: "medium", timeStyle: "medium", hourCycle }),
  };
}
let formats = makeFormats();

/** When a place was taken: ids and cursors begin with their time. @param {string} place */
export function timeOf(place) {
  return new Date(parseInt(place.slice(0, 8) + place.slice(9, 13), 16));
}

/** "14:03", or "2:03 PM" @param {Date} time */
export function clockTime(time) {
  return formats.clock.format(time);
}

/** "Saturday, November 22, 2026 at 14:03:07" @param {Date} time */
export function exactTime(time) {
  return formats.exact.format(time);
}

/** "Nov 22, 2026, 14:03:07" @param {Date} time */
export function shortTime(time) {
  return formats.short.format(time);
}

/** "Today", "Yesterday", "Friday, November 20", "March 3, 2021" @param {Date} time */
export function dayName(time) {
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (sameDay(time, now)) return words.today;
  if (sameDay(time, yesterday)) return words.yesterday;
  return (time.getFullYear() === now.getFullYear() ? formats.weekday : formats.dayOfYear).format(time);
}

/** @param {Date} one @param {Date} other */
export function sameDay(one, other) {
  return one.toDateString() === other.toDateString();
}

/**
 * Calls `newDay` when days are called otherwise, at the beginning of each, and where the machine has slept; `newZone` when times
 * are, too: where it is in another time zone.
 * @param {() => void} newDay @param {() => void} newZone
 */
export function onNewDay(newDay, newZone) {
  const today = () => new Date().toDateString();
  const here = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;
  let [day, zone] = [today(), here()];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const look = () => {
    clearTimeout(timer);
    const now = new Date();
    timer = setTimeout(look, new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() - now.getTime());
    const before = { day, zone };
    [day, zone] = [today(), here()];
    if (zone !== before.zone) {
      formats = makeFormats();
      newZone();
    } else if (day !== before.day) newDay();
  };
  // Its timers do not count while a machine sleeps.
  document.addEventListener("visibilitychange", look);
  addEventListener("focus", look);
  look();
}
