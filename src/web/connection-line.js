// @ts-check
// Says how the page stands with the server: a countdown for the eyes, and for screen readers a sentence when it goes well or no more.
import { byId, setText } from "./element.js";
import * as words from "./words.js";

/** @import { Connection, ConnectionState, LingerError, Retry } from "../client/client.ts" */

export class ConnectionLine {
  #line = byId("connection");
  #seen = byId("connection-seen");
  #said = byId("connection-said");
  /** Whether it was said that all is well, or that it is not. @type {boolean | undefined} */
  #well;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #stop = () => {};

  /** @param {Connection} connection */
  watch(connection) {
    this.#stop();
    this.#stop = connection.subscribe((state) => this.#show(state));
    this.#show(connection.state);
  }

  /** Something says no, and is asked again. @param {LingerError} error @param {number} retryAt In milliseconds since 1970. */
  refused(error, retryAt) {
    this.#show({ status: "reconnecting", retryAt, problem: error.problem }, words.answerIs(error.status));
  }

  /** What is read before the room is followed has failed, and is tried again. @param {Retry} retry */
  retries(retry) {
    this.#show(navigator.onLine ? { status: "reconnecting", ...retry } : { status: "offline" });
  }

  /** @param {ConnectionState} state @param {string} [why] */
  #show(state, why) {
    clearTimeout(this.#timer);
    const limited = state.status === "reconnecting" && state.problem?.status === 429;
    const sentence = why ?? (limited ? words.askedTooOften : words.connection[state.status]);
    this.#line.dataset.status = state.status;
    // Each try passes through these two; of an outage one hears once, and of its end.
    const well = ["idle", "connecting"].includes(state.status) ? this.#well : state.status === "live";
    if (well === undefined || well !== this.#well) setText(this.#said, sentence);
    this.#well = well;
    this.#seen.textContent = sentence;
    if (state.status !== "reconnecting") return;
    const seconds = Math.ceil((state.retryAt - Date.now()) / 1000);
    if (seconds <= 0) return;
    this.#seen.textContent = words.inSeconds(sentence, seconds);
    this.#timer = setTimeout(() => this.#show(state, why), (state.retryAt - Date.now()) % 1000 || 1000);
  }
}
