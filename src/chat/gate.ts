// Lets in as much work as can be done at a time, and the rest in turn: client by client, and of each room by room. A thousand requests that
// are worked on at once all go slowly, and with them the one that came alone; here it waits for one of everybody's, and the others have
// not begun. What waits too long, or is one too many, is refused early rather than late: who sent it is told so, and comes back.
import type { Allowance } from "../allowance.ts";
import { Turns } from "./turns.ts";

/** What a gate lets in. */
export interface GateOptions {
  /** Most pieces of work that are done at a time. */
  readonly atOnce: number;
  /** Most of one client. Whoever is not counted stands for many, and may have all. */
  readonly perClient: number;
  /** Most that wait; beyond it the newest is refused of whoever has most. */
  readonly waiting: number;
  /** What one gets that is refused. */
  readonly refusal: () => Error;
}

/** How long a piece of work waits for its turn, in milliseconds; then whoever sent it has given up, or should. */
const PATIENCE_MS = 5_000;

/** Whoever brings work. */
export type Bringer = Pick<Allowance, "client" | "unlimited">;

interface Waiting {
  readonly room: string;
  readonly since: number;
  readonly start: () => void;
  readonly refuse: (reason: unknown) => void;
}

/** The work of one client. */
class ClientLine {
  #waiting: Turns<Waiting> | undefined;
  running = 0;
  /** Whether it is among those whose turn comes. */
  ready = false;

  /** At most so many pieces are done at a time. */
  constructor(readonly client: string, readonly most: number) {}

  /** Made when somebody has to wait, which is seldom. */
  get waiting(): Turns<Waiting> {
    return this.#waiting ??= new Turns({ keys: [({ room }) => room] });
  }

  get length(): number {
    return this.#waiting?.length ?? 0;
  }
}

/** Work in turn. */
export class Gate {
  /** Of clients that have some. */
  readonly #lines = new Map<string, ClientLine>();
  /** Those whose turn comes, in order. */
  readonly #ready: ClientLine[] = [];
  #running = 0;
  #waiting = 0;

  /** Nothing is under way. */
  constructor(private readonly options: GateOptions) {}

  /** Whether extra work may begin: nothing waits, a place stays free beside it, and this client, if it is counted, has nothing under way. */
  hasRoomFor({ client, unlimited }: Bringer): boolean {
    return this.#waiting === 0 && this.#running + 1 < this.options.atOnce && (unlimited || !this.#lines.has(client));
  }

  /**
   * Works, when it is the client's turn in that room.
   * @throws the refusal.
   * @throws whatever `work` throws.
   */
  async run<T>({ client, unlimited }: Bringer, room: string, work: () => Promise<T>): Promise<T> {
    let line = this.#lines.get(client);
    if (!line) this.#lines.set(client, line = new ClientLine(client, unlimited ? Infinity : this.options.perClient));
    await this.#turn(line, room); // also where nobody waits: whoever calls may rely on it that nothing has begun yet
    try {
      return await work();
    } finally {
      this.#running--;
      line.running--;
      this.#offer(line);
      this.#startAll();
      this.#forget(line);
    }
  }

  /** Resolves when it is this one's turn, which has begun then. */
  #turn(line: ClientLine, room: string): Promise<void> | undefined {
    if (this.#running < this.options.atOnce && line.running < line.most && line.length === 0) {
      this.#begin(line);
      return;
    }
    const { promise, resolve: start, reject: refuse } = Promise.withResolvers<void>();
    line.waiting.push({ room, since: performance.now(), start, refuse });
    this.#waiting++;
    this.#offer(line);
    if (this.#waiting > this.options.waiting) this.#refuseOne();
    return promise;
  }

  #begin(line: ClientLine): void {
    this.#running++;
    line.running++;
  }

  /** Lets a client take part in turns, if it has something that may begin. */
  #offer(line: ClientLine): void {
    if (line.ready || line.length === 0 || line.running >= line.most) return;
    line.ready = true;
    this.#ready.push(line);
  }

  /** Begins as much as may be done. */
  #startAll(): void {
    while (this.#running < this.options.atOnce && this.#ready.length > 0) {
      const line = this.#ready.shift()!;
      line.ready = false;
      const next = line.waiting.shift();
      if (!next) { // refused meanwhile
        this.#forget(line);
        continue;
      }
      this.#waiting--;
      if (performance.now() - next.since > PATIENCE_MS) next.refuse(this.options.refusal());
      else {
        this.#begin(line);
        next.start();
      }
      this.#offer(line);
      this.#forget(line); // where that was the last of it
    }
  }

  #forget(line: ClientLine): void {
    if (line.running > 0 || line.length > 0) return;
    if (this.#lines.get(line.client) === line) this.#lines.delete(line.client); // it can be another by now
  }

  /** The newest of whoever has most. */
  #refuseOne(): void {
    let most: ClientLine | undefined;
    for (const line of this.#lines.values()) if (!most || line.length >= most.length) most = line;
    this.#waiting--;
    most!.waiting.pop()!.refuse(this.options.refusal());
  }
}
