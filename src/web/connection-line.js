// @ts-check
// Says how the page stands with the server: a countdown for the eyes, and for screen readers a sentence when it changes.
import { byId, setText } from "./element.js";
import * as words from "./words.js";

/** @import { Connection, ConnectionState, LingerError } from "../client/client.ts" */

export class ConnectionLine {
  #line = byId("connection");
  #seen = byId("connection-seen");
  #said = byId("connection-said");
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

  /** @param {ConnectionState} state @param {string} [why] */
  #show(state, why) {
    clearTimeout(this.#timer);
    const limited = state.status === "reconnecting" && state.problem?.status === 429;
    const sentence = why ?? (limited ? words.askedTooOften : words.connection[state.status]);
    this.#line.dataset.status = state.status;
    setText(this.#said, sentence);
    this.#seen.textContent = sentence;
    if (state.status !== "reconnecting") return;
    const seconds = Math.ceil((state.retryAt - Date.now()) / 1000);
    if (seconds <= 0) return;
    this.#seen.textContent = words.inSeconds(sentence, seconds);
    this.#timer = setTimeout(() => this.#show(state, why), (state.retryAt - Date.now()) % 1000 || 1000);
  }
}
