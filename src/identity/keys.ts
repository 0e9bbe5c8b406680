// The public keys of an identity provider (RFC 7517, JWKS), from an address that the settings name and never a token. They are
// fetched beside all else: a provider that is away locks nobody out whose key is known.
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import * as errors from "jose/errors";
import { createLocalJWKSet } from "jose/jwks/local";
import { Reminder } from "../reminder.ts";
import { log } from "../log.ts";
import { unavailable } from "../problem.ts";
import { sleep } from "../sleep.ts";
import { Remembered } from "../remembered.ts";

/** How often keys are fetched, in milliseconds: a key that is withdrawn is taken no longer than this. */
const RENEW_MS = 600_000;

/** Pause before it is tried again while there are none yet, in milliseconds. */
const RETRY_MS = 2_000;

/**
 * Shortest time between two fetches that unknown keys cause, in milliseconds: anybody can name a key that there is not. And the pause after
 * one that failed while there are keys, one of which may have been withdrawn.
 */
const ASK_MS = 30_000;

/** Names of keys that tokens have, twice as many at most: 12 MB of the longest, which strangers make up. */
const MAX_NAMES = 1_000;

/** Longest time that a fetch may take, in milliseconds. */
const FETCH_MS = 5_000;

/** The keys at one address. */
export class RemoteKeys {
  #find: JWTVerifyGetKey | undefined;
  #keys = "";
  #version = 0;
  #outdated = new AbortController();
  /** When keys were asked for last. */
  #asked = -Infinity;
  /** How many times keys were asked for. */
  #asks = 0;
  /** Which of these times brought the keys that are there. */
  #there = 0;
  /** For each name of a key in a token: how many times keys had been asked for when it was first seen. */
  readonly #named = new Remembered<number>(MAX_NAMES);
  #loading: Promise<void> | undefined;
  readonly #reminder = new Reminder();

  /** Fetches nothing by itself; `now` is a clock in milliseconds that never jumps. */
  constructor(private readonly url: string, private readonly now: () => number = () => performance.now()) {}

  /** Whether there are any. */
  get known(): boolean {
    return this.#find !== undefined;
  }

  /** Goes up when other keys are there. */
  get version(): number {
    return this.#version;
  }

  /** Aborts when other keys are there than those of now. */
  get outdated(): AbortSignal {
    return this.#outdated.signal;
  }

  /** Fetches them now, and again and again until `signal` aborts. */
  async renew(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#load();
      const isNew = this.#there === this.#asks;
      await sleep(isNew ? RENEW_MS : this.known ? ASK_MS : RETRY_MS, signal);
    }
  }

  /**
   * The key that a token names. That there is none, only keys can tell that were asked for after it was named: a provider may have begun
   * to sign with another. Until then the token is told to come again, which costs no more than to look a name up.
   * @internal
   * @throws {Problem} 503 before there are such keys.
   * @throws {errors.JOSEError} when there is no such key.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const find = this.#known();
    const name = JSON.stringify([header.kid]);
    const named = this.#named.get(name) ?? this.#asks;
    this.#named.set(name, named);
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    if (this.#loading || this.now() - this.#asked >= ASK_MS) await this.#load();
    try {
      return await this.#known()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#there > named) throw error;
      throw unavailable("The key of this token is not known yet", this.#asked + ASK_MS - this.now()).heldBack();
    }
  };

  #known(): JWTVerifyGetKey {
    if (!this.#find) throw unavailable("The keys of the identity provider are not known yet");
    return this.#find;
  }

  /** Fetches them; all who want that meanwhile share it. Never rejects. */
  #load(): Promise<void> {
    return this.#loading ??= this.#fetch().finally(() => this.#loading = undefined);
  }

  async #fetch(): Promise<void> {
    this.#asked = this.now();
    const ask = ++this.#asks;
    try {
      const response = await fetch(this.url, { redirect: "error", signal: AbortSignal.timeout(FETCH_MS) });
      const text = await response.text();
      if (!response.ok) throw new Error(`It answers ${response.status}`);
      const jwks = JSON.parse(text);
      this.#find = createLocalJWKSet(jwks); // which refuses what is none
      this.#there = ask;
      const keys = asCompared(jwks);
      if (keys === this.#keys) return;
      this.#keys = keys;
      this.#version++;
      const before = this.#outdated;
      this.#outdated = new AbortController();
      before.abort();
    } catch (error) {
      if (this.#reminder.isDue("keys")) {
        log("error", "The keys at TOKEN_JWKS_URL can't be fetched", { error: `${error}`, known: this.known });
      }
    }
  }
}

/** The keys of a JWKS in one order: a provider behind a balancer need not give them in the same each time. */
function asCompared({ keys }: JSONWebKeySet): string {
  return JSON.stringify(keys.map((key) => JSON.stringify(Object.entries(key).sort())).sort());
}
