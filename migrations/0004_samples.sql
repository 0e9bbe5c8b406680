-- For its planner PostgreSQL keeps samples of what stands in a column, also after VACUUM, until much of the table has changed: words that
-- were taken back, and names, could be read there. No plan needs those of these columns. To set a type anew changes no row, and forgets
-- the samples that are there.
lock table messages in access exclusive mode;

alter table messages
  alter column author type text,
  alter column body   type text,
  alter column sub    type text collate "C",
  alter column proof  type bytea;

alter table messages
  alter column author set statistics 0,
  alter column body   set statistics 0,
  alter column sub    set statistics 0,
  alter column proof  set statistics 0;
