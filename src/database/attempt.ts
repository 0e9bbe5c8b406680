// One attempt at one address: TCP or a Unix socket, TLS or none, who we are, and what the server is.
import { Buffer } from "node:buffer";
import { connect, isIP, type Socket } from "node:net";
import { connect as startTls, type TLSSocket } from "node:tls";
import type { Address, Host, TlsMode } from "./address.ts";
import { Authentication } from "./authentication.ts";
import { Conversation, int32, message, protocolError } from "./conversation.ts";
import { readOnly, refused, type ServerError, standby, Unusable } from "./unusable.ts";

/** Where a host can be reached: a Unix socket, or an address and its port. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

/** How a session is to be. */
export interface SessionOptions {
  /** Parameters of the first message; those that the address has count more. */
  readonly startup: Readonly<Record<string, string>>;
  /** Statements that set the session up. It goes on without them where a server does not take them. */
  readonly setup: string;
  /** Whether a pooler stands between, so that what is said of the server at the beginning may be another's. */
  readonly pooled: boolean;
}

/** A session with a server. */
export interface Session {
  /** Its socket, paused. */
  readonly socket: Socket;
  /** What the server would say to a driver that begins to speak now. */
  readonly greeting: Buffer;
}

/** The version of the protocol: 3.0. */
const PROTOCOL_VERSION = 196_608;

/** Asks for TLS in place of a version. */
const SSL_REQUEST = 80_877_103;

/** One attempt. */
export class Attempt {
  /** Whether a server has answered, in PostgreSQL's words. */
  told = false;
  /** Whether it failed for having TLS, or for having none. */
  tlsMatters = false;
  #secured = false;

  /** `name` is what people call the place. */
  constructor(
    private readonly place: Endpoint,
    readonly name: string,
    private readonly mode: TlsMode,
    private readonly host: Host,
    private readonly address: Address,
    private readonly options: SessionOptions,
  ) {}

  /**
   * Makes it. `opened` is told of the socket as soon as there is one.
   * @throws {Unusable} when the server will not do.
   * @throws an Error with a `code` when it is not reached.
   */
  async make(opened: (socket: Socket) => void): Promise<Session> {
    const raw = connect(this.place as { path: string });
    raw.on("error", () => {}); // those who wait for something are told; at other times it is nobody's
    opened(raw);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      raw.destroy();
    }, this.address.connectTimeoutMs);
    try {
      await event(raw, "connect");
      return await this.#begin(this.mode === "disable" ? raw : await this.#secure(raw));
    } catch (error) {
      raw.destroy();
      throw late ? Object.assign(new Error("No answer"), { code: "ETIMEDOUT" }) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Begins TLS, unless the server has none and that will do. */
  async #secure(raw: Socket): Promise<Socket> {
    const { tls } = this.address;
    if (!tls.direct) {
      const talk = new Conversation(raw);
      talk.send(message("", int32(SSL_REQUEST)));
      const answer = await talk.byte();
      this.tlsMatters = answer === "E"; // it doesn't know the question, or is in no state to answer it
      // What comes behind the answer was put there by somebody between, who could have read it.
      if (!/[SN]/.test(answer) || talk.letGo().length > 0) throw protocolError();
      if (answer === "N" && this.mode === "prefer") return raw;
      if (answer === "N") {
        throw new Unusable(
          "NO_TLS",
          "person",
          `${this.name} offers no TLS, on which sslmode=${tls.mode} insists: turn ssl on there, or take sslmode=disable`,
        );
      }
    }
    const { name } = this.host;
    const socket = startTls({
      socket: raw,
      host: name,
      servername: tls.sni && isIP(name) === 0 ? name : "",
      rejectUnauthorized: this.mode === "verify-ca" || this.mode === "verify-full",
      ...this.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined },
      ...tls.ca === undefined ? {} : { ca: tls.ca },
      ...tls.own,
      ...tls.versions,
      ...tls.direct ? { ALPNProtocols: ["postgresql"] } : {},
    });
    socket.on("error", () => {});
    this.tlsMatters = true;
    await event(socket, "secureConnect").catch((error) => {
      throw certificateRefused(error, this.name);
    });
    this.tlsMatters = false;
    this.#secured = true;
    return socket;
  }

  /** Says who we are, and waits until the server is ready for statements. */
  async #begin(socket: Socket): Promise<Session> {
    const { user, database, applicationName, startup, methods, channelBinding } = this.address;
    const talk = new Conversation(socket);
    const authentication = new Authentication({
      user,
      password: this.host.password,
      methods,
      channelBinding,
      certificate: this.#secured ? (socket as TLSSocket).getPeerCertificate().raw : undefined,
    });
    const parameters = {
      user,
      database,
      client_encoding: "UTF8",
      ...this.options.startup,
      ...applicationName === undefined ? {} : { application_name: applicationName },
      ...startup,
    };
    talk.send(message("", int32(PROTOCOL_VERSION), ...Object.entries(parameters).flat(), Buffer.alloc(1)));
    const key = await this.#untilReady(talk, authentication);
    if (this.options.setup !== "") {
      talk.send(message("Q", this.options.setup));
      while ((await talk.message()).type !== "Z");
    }
    const greeting = Buffer.concat([
      message("R", int32(0)),
      message("S", "in_hot_standby", "off"), // the driver would ask for these two
      message("S", "default_transaction_read_only", "off"),
      message("K", key),
      message("Z", Buffer.from("I")),
      talk.letGo(),
    ]);
    return { socket, greeting };
  }

  /** Returns the session's key. */
  async #untilReady(talk: Conversation, authentication: Authentication): Promise<Buffer> {
    let key: Buffer = Buffer.alloc(8);
    while (true) {
      const { type, body } = await talk.message();
      if (!"RSKZENv".includes(type)) throw protocolError();
      this.told = true;
      if (type === "E") throw this.#refusal(body);
      if (type === "R") {
        const answer = await authentication.answer(body);
        if (answer) talk.send(answer);
      }
      if (type === "S") this.#regard(body);
      if (type === "K") key = body;
      if (type === "Z" && !authentication.done) throw protocolError(); // else it need not have asked for anything
      if (type === "Z") return key;
    }
  }

  #refusal(body: Buffer): Unusable {
    const error = serverError(body);
    // A rule can ask for TLS or for none; a password that is wrong is wrong with both.
    this.tlsMatters = error.code === "28000" && (this.#secured || this.mode === "disable");
    const { user, database } = this.address;
    return refused(error, { place: this.name, user, database });
  }

  /** What a server says of itself decides whether it will do. */
  #regard(body: Buffer): void {
    const [name, value] = body.toString().split("\0");
    if (this.options.pooled || value !== "on") return;
    if (name === "in_hot_standby") throw standby(this.name);
    if (name === "default_transaction_read_only" && this.address.need === "read-write") throw readOnly(this.name);
  }
}

/** Resolves at the event; rejects when the socket ends before it. */
function event(socket: Socket, name: "connect" | "secureConnect"): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = () => reject(Object.assign(new Error("The server hung up"), { code: "CLOSED" }));
  socket.once(name, resolve).once("error", reject).once("close", closed);
  return promise.finally(() => socket.off(name, resolve).off("error", reject).off("close", closed));
}

function certificateRefused(error: Error & { code?: string }, name: string): Error {
  if (!/CERT|SIGNATURE|ISSUER/.test(error.code ?? "")) return error;
  return new Unusable(
    error.code!,
    "person",
    `The certificate of ${name} is not valid (${error.message}): name the authority that signed it in sslrootcert or ` +
      "DENO_CERT, and the host as the certificate has it; sslmode=require does without",
    { cause: error },
  );
}

function serverError(body: Buffer): ServerError {
  const fields = new Map(body.toString().split("\0").map((field) => [field[0], field.slice(1)]));
  return { code: fields.get("C") ?? "UNKNOWN", message: fields.get("M") ?? "nothing", routine: fields.get("R") };
}
