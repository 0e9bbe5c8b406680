// Reads that ask the database for somebody. They take turns, client by client, and within each room by room; one client has two under
// way at most, so that another's soon finds a connection. And they are refused early rather than late: who would wait for seconds is
// told so at once, and comes back.
import type { Allowance } from "../limits.ts";
import { unavailable } from "../problem.ts";
import { Turns } from "./turns.ts";

/** Reads of one client that are under way at a time. */
const PER_CLIENT = 2;

/** Reads that wait for their turn, of all clients: a second's work or two. Beyond it who has most is refused. */
const MAX_WAITING = 500;

/** How long a read waits for its turn, in milliseconds; then whoever sent it has given up, or should. */
const PATIENCE_MS = 5_000;

interface Read {
  readonly room: string;
  readonly since: number;
  readonly start: () => void;
  readonly refuse: (reason: unknown) => void;
}

/** The reads of one client. */
class Line {
  readonly waiting: Turns<Read> = new Turns({ keys: [({ room }) => room] });
  running = 0;
  /** Whether it is among those whose turn comes. */
  ready = false;

  constructor(readonly client: string) {}
}

/** Reads in turn. */
export class Reads {
  /** Of clients that have a read. */
  readonly #lines = new Map<string, Line>();
  /** Those whose turn comes, in order. */
  readonly #ready: Line[] = [];
  #running = 0;
  #waiting = 0;

  /** As many at a time as there are connections. */
  constructor(private readonly connections: number) {}

  /** Whether nobody waits, and there is a connection left. */
  get idle(): boolean {
    return this.#waiting === 0 && this.#running < this.connections;
  }

  /**
   * Reads, when it is the client's turn.
   * @throws {Problem} 429 for a client that reads too often, 503 where too many wait.
   * @throws whatever `read` throws.
   */
  async run<T>(allowance: Allowance, room: string, read: () => Promise<T>): Promise<T> {
    allowance.read();
    const { client } = allowance;
    let line = this.#lines.get(client);
    if (!line) this.#lines.set(client, line = new Line(client));
    await this.#turn(line, room);
    try {
      return await read();
    } finally {
      this.#running--;
      line.running--;
      this.#offer(line);
      this.#startAll();
      this.#forget(line);
    }
  }

  /** Resolves when it is this read's turn, which has begun then. */
  #turn(line: Line, room: string): Promise<void> | undefined {
    if (this.#running < this.connections && line.running < PER_CLIENT && line.waiting.length === 0) {
      this.#begin(line);
      return;
    }
    const { promise, resolve: start, reject: refuse } = Promise.withResolvers<void>();
    line.waiting.push({ room, since: performance.now(), start, refuse });
    this.#waiting++;
    this.#offer(line);
    if (this.#waiting > MAX_WAITING) this.#refuseOne();
    return promise;
  }

  #begin(line: Line): void {
    this.#running++;
    line.running++;
  }

  /** Lets a client take part in turns, if it has a read that may begin. */
  #offer(line: Line): void {
    if (line.ready || line.waiting.length === 0 || line.running >= PER_CLIENT) return;
    line.ready = true;
    this.#ready.push(line);
  }

  /** Begins as many reads as there are connections. */
  #startAll(): void {
    while (this.#running < this.connections && this.#ready.length > 0) {
      const line = this.#ready.shift()!;
      line.ready = false;
      const next = line.waiting.shift();
      if (!next) { // refused meanwhile
        this.#forget(line);
        continue;
      }
      this.#waiting--;
      if (performance.now() - next.since > PATIENCE_MS) next.refuse(tooMany());
      else {
        this.#begin(line);
        next.start();
      }
      this.#offer(line);
    }
  }

  #forget(line: Line): void {
    if (line.running === 0 && line.waiting.length === 0) this.#lines.delete(line.client);
  }

  /** The newest of whoever has most. */
  #refuseOne(): void {
    let most: Line | undefined;
    for (const line of this.#lines.values()) if (!most || line.waiting.length > most.waiting.length) most = line;
    this.#waiting--;
    most!.waiting.pop()!.refuse(tooMany());
  }
}

function tooMany() {
  return unavailable("Too many reads wait on this server");
}
