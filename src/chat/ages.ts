// How old messages may get, room by room, as the setting RETENTION says it: days for all rooms, and for some of them others, such as
// `365,news.*:7,archive:0`. Of those that fit a room, the longest name counts; 0 is for ever.
import { isPattern, RoomList } from "../identity/rights.ts";

/** Longest age, in days: a hundred years. */
const MAX_DAYS = 36_500;

const DAY_MS = 86_400_000;

/** Ages of messages. */
export class Ages {
  /** The longest name, or beginning of names, first. */
  readonly #days: readonly (readonly [rooms: RoomList, days: number])[];

  /**
   * Reads the setting.
   * @throws {TypeError} when it can't be meant.
   */
  constructor(text: string) {
    const days = new Map<string, number>();
    for (const item of text.split(",")) {
      const [, pattern = "*", number] = item.trim().match(/^(?:([^:]*):)?(\d{1,5})$/) ?? [];
      const known = number !== undefined && Number(number) <= MAX_DAYS && isPattern(pattern) && !days.has(pattern);
      if (!known) throw new TypeError(`${item} can't be meant`);
      days.set(pattern, Number(number));
    }
    // A name is longer than the beginning that is the same but for its `*`.
    const lengthOf = (pattern: string) => pattern.endsWith("*") ? pattern.length - 1.5 : pattern.length;
    this.#days = [...days].sort(([a], [b]) => lengthOf(b) - lengthOf(a))
      .map(([pattern, days]) => [new RoomList([pattern]), days]);
  }

  /** Whether the text can be meant. */
  static canBe(text: string): boolean {
    try {
      return new Ages(text) !== undefined;
    } catch {
      return false;
    }
  }

  /** Whether messages are kept for ever everywhere. */
  get unlimited(): boolean {
    return this.#days.every(([, days]) => days === 0);
  }

  /** How old messages of a room may get, in milliseconds; undefined: any age. */
  of(room: string): number | undefined {
    const fitting = this.#days.find(([rooms]) => rooms.has(room));
    return fitting && fitting[1] > 0 ? fitting[1] * DAY_MS : undefined;
  }
}
