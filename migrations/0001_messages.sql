-- A room's head row orders the room. Whoever posts locks it with an update and takes the next numbers from it; the
-- lock is held until the commit is durable and visible, so every snapshot of a room is a gapless prefix of its final
-- order, and "id > cursor" misses nothing, with any number of servers, whatever their clocks do.
-- It has no further columns and no further index, so that its updates stay on its page (HOT), and room for them.
create table heads (
  room text collate "C" primary key,
  seq  bigint not null, -- the number of the room's newest message; the first is 1
  ms   bigint not null  -- the time in the newest id, in milliseconds since 1970; never falls
) with (fillfactor = 50);

-- id: time (48 bit) | the message's number in its room (40 bit) | random (40 bit). A valid ULID in UUID form that
-- strictly grows within a room. The room comes first in every key, as a Postgres wants it that shards by room. None has been
-- tried: docs/more-than-one-machine.md.
-- There is no foreign key to heads: it would lock the head row once more for every message.
create table messages (
  room   text collate "C" not null,
  id     uuid not null,
  key    text collate "C", -- the Idempotency-Key of the post, kept as long as the message
  author text,
  body   text not null,
  primary key (room, id)
);

-- A retried post is refused by this index; the whole statement rolls back, so numbers stay gapless.
create unique index messages_key on messages (room, key) where key is not null;
