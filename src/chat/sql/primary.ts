// Where messages may be read: not on a standby.

/**
 * A condition that always holds, but on a standby, where the statement fails with the code of one that writes: a pooler can lead to one for
 * a while after a switch-over, and it may not have yet what was just acknowledged. PostgreSQL looks at it once for each statement, which
 * takes 2 µs. On the primary nothing is notified.
 */
export const ON_PRIMARY = "(select case when pg_is_in_recovery() then pg_notify('linger', '') end) is null";
