// The log: one line per event on standard error: time, level, sentence, then what belongs to it as JSON. Nobody waits for it, and
// nobody fails with it: where it can't be written (a full disk, a pipe that is closed or that nobody reads) the server goes on.
import { Bucket } from "./bucket.ts";
import { sleep, within } from "./sleep.ts";

/** Most lines that wait to be written; those that come then are left out, and counted. */
const MAX_WAITING_LINES = 1_000;

/** Most lines in a second: what somebody causes a thousand times is told ten times, and with how many it was. */
const MAX_LINES_PER_SECOND = 10;

/** Lines that may come at once: what a start or a failure has to say. */
const MAX_LINES_AT_ONCE = 50;

/** Pause before a line that could not be written is tried again, in milliseconds. */
const AGAIN_MS = 1_000;

/** How long the last lines may take to be written when the program ends, in milliseconds. */
const LAST_LINES_MS = 500;

const encoder = new TextEncoder();
const waiting: string[] = [];
let missing = 0;
/** Whether a part of a line was written, and the rest could not be. */
let isCut = false;
let writing = Promise.resolve();
let write: (line: string, isRecord?: boolean) => void = writeNow;

/** Writes one line; never throws. Messages, keys and passwords don't belong into `fields`. */
export function log(
  level: "info" | "warn" | "error",
  sentence: string,
  fields?: Record<string, unknown>,
): void {
  write(lineOf(level, sentence, fields));
}

/**
 * Writes a line about what somebody has done whom the line names, which nobody could tell later: it is not left out where there are too many
 * in a second. So callers have to bound how many there are.
 */
export function record(sentence: string, fields: Record<string, unknown>): void {
  write(lineOf("info", sentence, fields), true);
}

/** Writes a line about what goes as it should. */
export function say(line: string): void {
  log("info", line);
}

/** From now on lines are written beside all else, as a server needs it: to wait for a pipe that is full would stop everybody. */
export function logWithoutWaiting(): void {
  write = enqueue;
}

/** Resolves when all lines are written, or can't be. To be awaited before the program ends. */
export function logged(): Promise<void> {
  return within(writing, LAST_LINES_MS);
}

/**
 * Logs what nobody has caught, and goes on. postgres.js can throw out of its own timers when a connection dies in a bad
 * moment; its statements have deadlines that see to them, and nobody else must die of it.
 */
export function surviveUncaught(): void {
  for (const type of ["error", "unhandledrejection"]) {
    addEventListener(type, (event) => {
      event.preventDefault();
      const { error, reason = error } = event as ErrorEvent & PromiseRejectionEvent;
      log("error", "Uncaught", { error: reason?.stack ?? `${reason}` });
    });
  }
}

function lineOf(level: string, sentence: string, fields: Record<string, unknown> | undefined): string {
  const rest = fields ? " " + JSON.stringify(fields) : "";
  return `${new Date().toISOString()} ${level} ${sentence}${rest}\n`;
}

function writeNow(line: string): void {
  try {
    console.error(line.trimEnd());
  } catch { /* the disk is full: the next line may get through */ }
}

const lines = new Bucket({ most: MAX_LINES_PER_SECOND, perMs: 1_000, atOnce: MAX_LINES_AT_ONCE });
let leftOut = 0;

function enqueue(line: string, isRecord = false): void {
  if (!isRecord && lines.take() > 0) {
    if (leftOut++ === 0) Deno.unrefTimer(setTimeout(tellLeftOut, 1_000));
    return;
  }
  if (waiting.length >= MAX_WAITING_LINES) missing++;
  else if (waiting.push(line) === 1) writing = writeAll();
}

function tellLeftOut(): void {
  lines.giveBack(); // this one has its place
  log("warn", "Too much happens to tell all of it; lines are left out", { lines: leftOut });
  leftOut = 0;
}

async function writeAll(): Promise<void> {
  while (waiting.length > 0) {
    try {
      for (let rest = encoder.encode(isCut ? `\n${waiting[0]}` : waiting[0]); rest.length > 0;) {
        rest = rest.subarray(await Deno.stderr.write(rest));
        isCut = rest.length > 0;
      }
    } catch {
      await sleep(AGAIN_MS);
      continue;
    }
    waiting.shift();
    if (missing === 0 || waiting.length > 0) continue;
    // Not by log(): it would find that nothing waits, and begin to write beside us.
    waiting.push(lineOf("warn", "The log could not be written for a while; lines are missing", { lines: missing }));
    missing = 0;
  }
}
