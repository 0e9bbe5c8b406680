// Conversations of the past, written into the database with times of their own, which no client could give them.
import type postgres from "postgres";
import { makeId, randomDigits } from "../../src/chat/cursor.ts";

/** Minutes ago, author, body. */
export type Line = [minutes: number, author: string, body: string];

/** Writes the first messages of a room. */
export async function writeHistory(sql: postgres.Sql, room: string, lines: Line[]): Promise<void> {
  const messages = lines.map(([minutes, author, body], index) => {
    return { room, id: makeId(Date.now() - minutes * 60_000, index + 1, randomDigits()), author, body };
  });
  await sql`insert into messages ${sql(messages)}`;
  await sql`insert into heads values (${room}, ${lines.length}, ${Date.now() - lines.at(-1)![0] * 60_000})`;
}

/**
 * How many minutes ago it was noon yesterday, on this machine: what was said about then stands under one day, at whatever time
 * a test runs.
 */
export function sinceNoonYesterday(): number {
  const noon = new Date();
  noon.setDate(noon.getDate() - 1);
  noon.setHours(12, 0, 0, 0);
  return Math.round((Date.now() - noon.getTime()) / 60_000);
}
