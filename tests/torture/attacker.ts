// One client that floods a server, as fast as one process can: over plain sockets, with bytes that are made once. It opens connections
// and says what goes on upon each; all of it goes on until its process is ended.
import { Buffer } from "node:buffer";
import { Answers } from "./answers.ts";
import { pause } from "./clients.ts";
import { fieldsOf, Session } from "./http2.ts";

/** What an attacker is to do. */
export interface Order {
  /** The name of the attack. */
  readonly attack: string;
  readonly port: number;
  /** The most connections, so that a short form is possible, and no more than the files that this process and the server may open. */
  readonly most: number;
  /** The room in which the victims talk. */
  readonly room: string;
  /** The address that the attacker has, as a proxy in front of the server would tell; none where it has that of its connections. */
  readonly address?: string | undefined;
}

/** One way to flood a server. */
export interface Attack {
  /** Its name, which `--only` selects by, and in which there is no comma for that reason. */
  readonly name: string;
  /** What is there to stop it: a bound or fairness in the program, a setting that is counted by client, or a proxy in front. */
  readonly stoppedBy: "program" | "setting" | "proxy";
  /** What that does, in a sentence. */
  readonly how: string;
  /** Whether the rooms with 10 MB each have to be there. */
  readonly longRooms?: true;
  /** Whether the server has to know tokens, without which one may do the same, and more rooms than a list looks at. */
  readonly tokens?: true;
  /** Sets it going; resolves when all of it goes on. */
  begin(attacker: Attacker): Promise<void>;
}

/** A request before it is bytes. */
export interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** How a connection goes on asking. */
export interface Asking {
  /** Pause after each answer, in milliseconds. */
  readonly everyMs?: number;
  /** The answers have no bodies: those to HEAD. */
  readonly bodyless?: boolean;
}

/** How many connections are being opened at one time: fewer than a listening socket keeps waiting. */
const OPENERS = 100;

/** How long connections are opened, in milliseconds; a server that is down by then has had all that it takes. */
const OPENING_MS = 10_000;

/** Pause before a connection that was refused or closed is opened again, in milliseconds: else it would be the process that is at its limit. */
const AGAIN_MS = 20;

/** How many streams one connection of HTTP/2 may have: what Deno's server allows. */
const STREAMS = 200;

/** Shows that the attacker's messages are its own. */
const OWN = { "Message-Key": "the attacker's own messages" };

const encoder = new TextEncoder();

/** The attacker. */
export class Attacker {
  /** How often each answer has come, by its status; how many connections were opened, were not, or were closed by the server. */
  readonly answers: Record<string, number> = {};

  /** One that does as it is told. */
  constructor(readonly order: Order) {}

  /** Counts an answer. */
  count(answer: number | string): void {
    this.answers[answer] = (this.answers[answer] ?? 0) + 1;
  }

  /** The bytes of a request of HTTP/1.1. */
  bytes({ method = "GET", path, headers = {}, body = "" }: Request): Uint8Array<ArrayBuffer> {
    const { address } = this.order;
    const hasBody = method === "POST" || method === "PATCH";
    const fields = {
      "Host": "localhost",
      ...address !== undefined && { "X-Forwarded-For": address },
      ...hasBody && { "Content-Type": "application/json", "Content-Length": `${body.length}` },
      ...headers,
    };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    return encoder.encode(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  }

  /** The same for HTTP/2: a block of fields, and the body. */
  streamOf({ method = "GET", path, headers = {}, body = "" }: Request): [Uint8Array<ArrayBuffer>, Uint8Array?] {
    const { address } = this.order;
    const block = fieldsOf({
      ":method": method,
      ":scheme": "http",
      ":authority": "localhost",
      ":path": path,
      ...address !== undefined && { "x-forwarded-for": address },
      ...method === "POST" && { "content-type": "application/json" },
      ...headers,
    });
    return method === "POST" ? [block, encoder.encode(body)] : [block];
  }

  /**
   * Opens `count` connections, and resolves when all are open or it takes too long. Each goes on with `use`, and is opened anew when
   * that ends or the server closes it.
   */
  async open(count: number, use: (connection: Deno.TcpConn, i: number) => Promise<void>): Promise<void> {
    const all = Math.min(count, this.order.most);
    let next = 0;
    let late = false;
    const opener = async () => {
      while (next < all && !late) {
        const i = next++;
        const connection = await this.#connect();
        void this.#keep(connection, (connection) => use(connection, i));
      }
    };
    const opened = Promise.all(Array.from({ length: Math.min(OPENERS, all) }, opener));
    await Promise.race([opened, pause(OPENING_MS)]);
    late = true;
  }

  async #connect(): Promise<Deno.TcpConn> {
    while (true) {
      try {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.order.port });
        this.count("opened");
        return connection;
      } catch {
        this.count("not connected");
        await pause(AGAIN_MS);
      }
    }
  }

  async #keep(connection: Deno.TcpConn, use: (connection: Deno.TcpConn) => Promise<void>): Promise<never> {
    while (true) {
      try {
        await use(connection);
      } catch {
        this.count("closed");
        await pause(AGAIN_MS);
      }
      try {
        connection.close();
      } catch { /* it is closed already */ }
      connection = await this.#connect();
    }
  }

  /** Opens connections that ask, and ask again when they are answered: the `n`-th request of the `i`-th. */
  ask(count: number, requestOf: (i: number, n: number) => Uint8Array, how: Asking = {}): Promise<void> {
    return this.open(count, async (connection, i) => {
      const answers = new Answers(connection);
      for (let n = 0;; n++) {
        await write(connection, requestOf(i, n));
        const { status, isLast } = await answers.next(how.bodyless);
        this.count(status);
        if (isLast) return;
        if (how.everyMs) await pause(how.everyMs);
      }
    });
  }

  /**
   * Opens connections, each of which posts a message into `room`, changes it as `use` does, and goes on with the next. A change is to
   * another text; without one, the message is taken back.
   */
  change(count: number, room: string, use: (change: (body?: string) => Promise<void>) => Promise<void>): Promise<void> {
    const path = `/rooms/${room}/messages`;
    return this.open(count, async (connection) => {
      const answers = new Answers(connection);
      const ask = async (method: string, path: string, body?: string) => {
        const text = body === undefined ? "" : JSON.stringify({ body });
        await write(connection, this.bytes({ method, path, headers: OWN, body: text }));
        const { status, head, isLast } = await answers.next();
        this.count(status);
        if (isLast) throw new Error("The connection was closed");
        return head;
      };
      while (true) {
        const id = /\r\nlocation: *messages\/([\w-]+)/i.exec(await ask("POST", path, "x"))?.[1];
        if (id === undefined) continue; // it was refused
        await use(async (body) => void await ask(body === undefined ? "DELETE" : "PATCH", `${path}/${id}`, body));
      }
    });
  }

  /** Opens one connection, on which `count` requests are sent at once, and again when all are answered. */
  pipeline(bytes: Uint8Array, count: number): Promise<void> {
    const all = Buffer.concat(Array(count).fill(bytes));
    return this.open(1, async (connection) => {
      const answers = new Answers(connection);
      const answered = async () => {
        for (let n = 0; n < count; n++) this.count((await answers.next()).status);
      };
      while (true) await Promise.all([write(connection, all), answered()]);
    });
  }

  /** Sends bytes on a connection that has answered nothing yet; resolves to the status of what comes first. */
  async first(connection: Deno.Conn, bytes: Uint8Array): Promise<string> {
    await write(connection, bytes);
    const piece = new Uint8Array(1_000);
    if (!await connection.read(piece)) throw new Error("The connection was closed");
    return statusIn(piece);
  }

  /** Opens connections that send something once, and stay. What comes is read, or no more than its status. */
  hold(count: number, bytes: Uint8Array, reads: boolean): Promise<void> {
    return this.open(count, async (connection) => {
      this.count(await this.first(connection, bytes));
      if (!reads) await new Promise<never>(() => {});
      const piece = new Uint8Array(16_384);
      while (await connection.read(piece));
      throw new Error("The connection was closed");
    });
  }

  /** Opens connections that send `bytes`, and then one of `drops` each second, which never end a request. */
  drip(count: number, bytes: Uint8Array, drops: Uint8Array): Promise<void> {
    return this.open(count, async (connection) => {
      await write(connection, bytes);
      const timer = setInterval(() => void write(connection, drops).catch(() => clearInterval(timer)), 1_000);
      try {
        const piece = new Uint8Array(100);
        while (await connection.read(piece)) this.count(statusIn(piece));
        throw new Error("The connection was closed");
      } finally {
        clearInterval(timer);
      }
    });
  }

  /** Opens connections of HTTP/2 with as many streams as it has, each of which asks as in {@linkcode ask}. */
  ask2(connections: number, requestOf: (n: number) => Request): Promise<void> {
    return this.#open2(connections, requestOf, undefined, async (_, ask) => {
      while (true) this.count(await ask().status);
    });
  }

  /** The same, but each asks until it is given something, and takes nothing of that. */
  stall2(connections: number, requestOf: (n: number) => Request): Promise<void> {
    return this.#open2(connections, requestOf, 0, async (session, ask) => {
      while (true) {
        const { stream, begun } = ask();
        const status = await begun;
        this.count(status);
        if (status === "200") return;
        session.reset(stream);
      }
    });
  }

  #open2(
    connections: number,
    requestOf: (n: number) => Request,
    window: number | undefined,
    use: (session: Session, ask: () => ReturnType<Session["ask"]>) => Promise<void>,
  ): Promise<void> {
    const most = Math.max(1, Math.floor(this.order.most / STREAMS));
    let n = 0;
    return this.open(Math.min(connections, most), async (connection) => {
      const session = new Session(connection, window);
      const ask = () => session.ask(...this.streamOf(requestOf(n++)));
      const streams = Array.from({ length: Math.min(STREAMS, this.order.most) }, () => use(session, ask));
      await Promise.all([session.run(), ...streams]);
    });
  }
}

/** Sends all of the bytes; the system may take fewer at a time. */
export async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** The status in the beginning of an answer. */
function statusIn(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(9, 12));
}
