// In the PostgreSQL that `start` brings along, Linger is no superuser: it owns its tables, and can do nothing else. A superuser can
// read files and run programs, which no statement of ours ever should.
import { unlessAborted } from "../sleep.ts";
import type { OpenPool } from "./pool.ts";

/** Linger's role there. */
export const ROLE = "linger";

/** Makes the role, and gives it the tables that the superuser has from a Linger before this one. */
const STATEMENT = `do $$ declare name text; begin
  if not exists (select from pg_roles where rolname = '${ROLE}') then create role ${ROLE} login; end if;
  grant usage, create on schema public to ${ROLE};
  for name in select tablename from pg_tables where schemaname = 'public' and tableowner <> '${ROLE}'
    and tablename in ('migrations', 'heads', 'messages')
  loop execute format('alter table public.%I owner to ${ROLE}', name); end loop;
end $$`;

/**
 * Sees to it that Linger has a role of its own; `openPool` connects as superuser.
 * @throws what the driver throws when that fails, and the signal's reason when it aborts before.
 */
export async function makeRole(openPool: OpenPool, signal: AbortSignal): Promise<void> {
  const { sql, destroy } = openPool("role");
  await unlessAborted(sql.unsafe(STATEMENT), signal).finally(destroy);
}
