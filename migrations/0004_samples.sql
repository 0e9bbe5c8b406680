-- For its planner PostgreSQL keeps samples of what stands in a column, also after VACUUM, until much of the table has changed: words that
-- were taken back, and names, could be read there. No plan needs those of these columns. To set a type anew changes no row, and forgets
-- the samples that are there.
--
-- But where something of somebody's own stands on a column, PostgreSQL refuses that (a view, a trigger), or makes it anew while all wait
-- (an index of words). There the samples stay, until the next ANALYZE takes others in their place.
lock table messages in access exclusive mode;

do $$
declare
  one record;
begin
  for one in
    select name, type
    from (values ('author', 'text'), ('body', 'text'), ('sub', 'text collate "C"'), ('proof', 'bytea')) as mine (name, type)
      join pg_attribute on attrelid = 'messages'::regclass and attname = name
    where not exists (
      select from pg_depend
      where refclassid = 'pg_class'::regclass and refobjid = attrelid and refobjsubid = attnum and classid <> 'pg_constraint'::regclass
    )
  loop
    execute format('alter table messages alter column %I type %s', one.name, one.type);
    execute format('alter table messages alter column %I set statistics 0', one.name);
  end loop;
end
$$;
