// @ts-check
// What the windows of this page in one browser ask the server for together. Over HTTP/1.1 a browser has six connections to a server,
// and a poll that waits takes one of them: six windows, and nothing else gets through, whatever the path. So at most three polls wait,
// in the rooms that somebody has before their eyes, and what one of them is answered all the others have that asked for the same.
// Whoever has no poll that waits for his room asks now and then.
//
// It stands in the place of `fetch`. The answer to a poll belongs to its cursor, so it is the same for every window that asks from there:
// none misses anything or gets anything twice, and a window that stands elsewhere asks for itself.
import { Lease, rank, RENEW_MS } from "./lease.js";

/** @import { Deletion, Message } from "../client/client.ts" */

/** Polls that may wait at a time: half of the connections that a browser has. */
const WAITING = 3;

/** How often a window asks that has no poll that waits, in milliseconds; and one that nobody sees. */
const ASK_MS = 5_000;
const ASK_HIDDEN_MS = 30_000;

/** So long a window that is behind waits for what another was answered, in milliseconds, before it asks for itself. */
const BEHIND_MS = 1_000;

/** A longer answer is not handed around: who catches up does so alone. In characters. */
const LONGEST = 100_000;

/** Answers that are kept, for a window that asks a little later: each a few messages. */
const KEPT = 100;

/** Most messages that are made one answer: fewer than what the client takes for a full page. */
const MOST = 400;

/** A list of rooms that is younger is as good as a new one, in milliseconds: somewhat less than the pause between two looks. */
const LIST_MS = 2_500;

/** So long a window waits for the list that another asks for, in milliseconds. */
const LISTING_MS = 2_000;

/**
 * What came after a cursor.
 * @typedef {object} Answer
 * @property {(Message | Deletion)[]} news
 * @property {string} next The cursor from which it goes on.
 * @property {string} link
 */

export class Polls {
  #base;
  #slots;
  #listing;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** By stream and cursor, oldest first. @type {Map<string, Answer>} */
  #answers = new Map();
  /** With when it came, by the page's clock: nobody sets that. @type {{ text: string, who: string, at: number } | undefined} */
  #list;
  /** @type {Set<() => void>} */
  #asleep = new Set();
  #listed;

  /** @param {URL} base @param {() => void} listed Another window has asked for the rooms. */
  constructor(base, listed) {
    this.#base = base;
    this.#listed = listed;
    // The connections are those to a host, whatever servers it has under its paths: so these are for all of them.
    const host = new URL("/", base);
    this.#slots = Array.from({ length: WAITING }, (_, i) => new Lease(host, `poll ${i}`));
    this.#listing = new Lease(base, "rooms");
    for (const type of ["storage", "focus", "online"]) addEventListener(type, () => this.#wake());
    document.addEventListener("visibilitychange", () => this.#wake());
    // A page with an open channel may not be kept for the back button.
    addEventListener("pagehide", () => {
      this.#channel?.close();
      this.#channel = undefined;
    });
    addEventListener("pageshow", ({ persisted }) => persisted && this.#open());
    this.#open();
  }

  /** Instead of `fetch`. @param {Request} request @returns {Promise<Response>} */
  fetch(request) {
    const url = new URL(request.url);
    if (request.method !== "GET") return fetch(request);
    if (url.pathname === `${this.#base.pathname}rooms`) return this.#channel ? this.#rooms(request) : fetch(request);
    return Number(url.searchParams.get("wait")) > 0 ? this.#poll(request, url) : fetch(request);
  }

  #open() {
    try {
      this.#channel = new BroadcastChannel(`linger ${this.#base.pathname}`);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    } catch { /* an old browser, or one that forbids it */ }
  }

  /** @param {{ list: { text: string, who: string } } | { place: string, answer: Answer }} told */
  #hear(told) {
    if ("list" in told) {
      this.#list = { ...told.list, at: performance.now() };
      this.#listed();
    } else {
      this.#update(told.answer);
      this.#answers.set(told.place, told.answer);
      for (const oldest of this.#answers.keys()) {
        if (this.#answers.size <= KEPT) break;
        this.#answers.delete(oldest);
      }
    }
    this.#wake();
  }

  /** Has what is kept of messages be as they are now: a window that is behind needs no words that were taken back. @param {Answer} told */
  #update({ news }) {
    const changed = new Map(news.flatMap((message) => message.changed ? [[nameOf(message), message]] : []));
    if (changed.size === 0) return;
    for (const known of this.#answers.values()) {
      known.news = known.news.map((message) => {
        const now = changed.get(nameOf(message));
        return now && (message.changed ?? "") < (now.changed ?? "") ? now : message;
      });
    }
  }

  /** A poll that waits here until there is news, or the server waits for it. @param {Request} request @param {URL} url */
  async #poll(request, url) {
    const after = url.searchParams.get("after") ?? "";
    const end = performance.now() + Number(url.searchParams.get("wait")) * 1_000;
    const stream = streamOf(url);
    const who = whoAsks(request);
    let asked = performance.now(); // a poll does not wait before one has been answered
    let behind = 0;
    let level = ""; // up to there there is nothing: an empty answer can lead on, too
    for (;;) {
      request.signal.throwIfAborted();
      const known = this.#known(`${who} ${stream}`, after);
      if (known) return known;
      const slot = this.#slot(stream, after);
      if (slot) {
        const response = await this.#hold(slot, request, stream, after, end);
        if (response) return response;
        continue; // another window needs it more
      }
      const now = performance.now();
      const holder = this.#slots.map(({ holder }) => holder).find((holder) => holder && isFor(holder.what, stream));
      const place = holder?.what.slice(stream.length + 1) ?? "";
      if (after >= place || level >= place) behind = now;
      const late = holder ? now - Math.max(behind, asked) >= BEHIND_MS : now - asked >= askMs();
      if (late) {
        const response = await this.#ask(request, `${who} ${stream} ${after}`);
        if (response) return response;
        asked = performance.now();
        level = place;
      } else if (now >= end) {
        return answer("[]", "");
      } else {
        await this.#sleep(request.signal);
      }
    }
  }

  /** What other windows were answered from a cursor on. @param {string} stream @param {string} after */
  #known(stream, after) {
    const news = [];
    let link = "";
    for (let known; news.length < MOST && (known = this.#answers.get(`${stream} ${after}`));) {
      news.push(...known.news);
      ({ link, next: after } = known);
    }
    return news.length > 0 ? answer(JSON.stringify(news), link) : undefined;
  }

  /** One of the places for polls that wait, if this window is to have one. @param {string} stream @param {string} after */
  #slot(stream, after) {
    const holders = this.#slots.map(({ holder }) => holder);
    const mine = holders.findIndex((holder) => holder?.isMe);
    const other = holders.findIndex((holder) => holder && !holder.isMe && isFor(holder.what, stream));
    const theirs = holders[other];
    let index = mine;
    if (theirs && theirs.rank >= rank() && !(mine >= 0 && mine < other)) index = -1; // that one asks for this window, too
    else if (theirs && theirs.rank < rank()) index = other;
    else if (mine < 0) {
      const ranks = holders.map((holder) => holder ? holder.rank : -1);
      index = ranks.indexOf(Math.min(...ranks));
    }
    if (mine >= 0 && mine !== index) this.#slots[mine]?.release();
    const slot = this.#slots[index];
    if (!slot?.take(`${stream} ${after}`)) return undefined;
    // Where nobody can see who waits, only the window does that somebody is in: there is but one.
    return slot.isSeen || rank() === 2 ? slot : undefined;
  }

  /**
   * Lets the server wait, and tells the others what it answers. Undefined when another window has taken the place. Whoever has waited here
   * for another's poll has the server wait for the rest of its time only: else the client would take the answer for lost.
   * @param {Lease} slot @param {Request} request @param {string} stream @param {string} after
   * @param {number} end When the time is up, by performance.now().
   */
  async #hold(slot, request, stream, after, end) {
    const { signal } = request;
    const ended = new AbortController();
    signal.addEventListener("abort", () => ended.abort(signal.reason));
    const renew = () => this.#slot(stream, after) === slot || ended.abort();
    const timer = setInterval(renew, RENEW_MS);
    document.addEventListener("visibilitychange", renew); // from now on it holds for longer, or less long
    try {
      const left = Math.max(1, Math.ceil((end - performance.now()) / 1_000));
      const response = await fetch(new Request(lasting(request, left), { signal: ended.signal }));
      if (response.ok) this.#tell(`${whoAsks(request)} ${stream} ${after}`, response.clone());
      else slot.release();
      return response;
    } catch (error) {
      if (ended.signal.aborted && !signal.aborted) return undefined;
      slot.release(); // so that another window comes to know it
      throw error;
    } finally {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", renew);
    }
  }

  /** Asks whether there is news; undefined if not. @param {Request} request @param {string} place */
  async #ask(request, place) {
    const response = await fetch(lasting(request, 0));
    if (!response.ok) return response;
    const text = await response.clone().text();
    if (text.trim() === "[]") return undefined;
    this.#tell(place, response.clone());
    return response;
  }

  /** @param {string} place @param {Response} response */
  async #tell(place, response) {
    try {
      const text = await response.text();
      const link = response.headers.get("link") ?? "";
      const next = /[?&]after=([\w-]+)[^>]*>; *rel="next"/.exec(link)?.[1];
      const news = text.length > LONGEST ? [] : JSON.parse(text);
      if (next && news.length > 0) this.#channel?.postMessage({ place, answer: { news, next, link } });
    } catch { /* it was cut, and its own reader sees so, too */ }
  }

  /** The list of rooms: one window asks, and the others have it from there. @param {Request} request */
  async #rooms(request) {
    const who = whoAsks(request);
    const begun = performance.now();
    while (this.#list?.who === who) {
      const now = performance.now();
      if (now - this.#list.at < LIST_MS) return answer(this.#list.text, "");
      if (this.#listing.take() || now - begun > LISTING_MS) break;
      await this.#sleep(request.signal);
      request.signal.throwIfAborted();
    }
    const response = await fetch(request);
    if (response.ok) {
      const text = await response.clone().text();
      this.#list = { text, who, at: performance.now() };
      this.#channel?.postMessage({ list: { text, who } });
    }
    return response;
  }

  #wake() {
    for (const wake of this.#asleep) wake();
  }

  /** Resolves when something may have changed. @param {AbortSignal} signal @returns {Promise<void>} */
  #sleep(signal) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#asleep.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, RENEW_MS);
      this.#asleep.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}

/** What a poll asks for, but for where it begins and how long it waits. @param {URL} url */
function streamOf(url) {
  const stream = new URL(url);
  stream.searchParams.delete("after");
  stream.searchParams.delete("wait");
  return stream.pathname + stream.search;
}

/** Names a message across rooms. @param {Message | Deletion} message */
function nameOf({ room, id }) {
  return `${room} ${id}`;
}

/** The same poll, for which the server waits so long. @param {Request} request @param {number} seconds */
function lasting(request, seconds) {
  const url = new URL(request.url);
  url.searchParams.set("wait", `${seconds}`);
  return new Request(url, request);
}

/** Whether the holder of a place polls for this stream. @param {string} what @param {string} stream */
function isFor(what, stream) {
  return what.startsWith(`${stream} `);
}

/** Who has become somebody else in between does not get what the one before may read. @param {Request} request */
function whoAsks(request) {
  return request.headers.get("authorization") ?? "";
}

function askMs() {
  return document.hidden ? ASK_HIDDEN_MS : ASK_MS;
}

/** @param {string} text @param {string} link */
function answer(text, link) {
  return new Response(text, { headers: { "content-type": "application/json", ...link && { link } } });
}
