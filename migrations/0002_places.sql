-- What this version and those to come know more about a room's order and its messages than the first one did. PostgreSQL adds
-- such columns without touching a row, and the version before goes on beside this one. No index holds them, so the updates of
-- a head row stay on its page (HOT).
--
-- Both tables at once: whoever posts meanwhile waits for one short moment, and for nothing in between.
lock table heads, messages in access exclusive mode;

alter table heads
  add column prior   bigint not null default 0, -- what ms was before the newest statement. Only what returns it may rely on it:
                                                -- the version before moves the head and leaves prior as it is
  add column trimmed uuid;                      -- the newest place whose message was removed since it was too old

alter table messages
  add column changed  uuid,             -- the place of its newest change; moves on with each
  add column sub      text collate "C", -- whose token posted it
  add column proof    bytea,            -- the digest of its Message-Key
  add column reply_to uuid;             -- the message that it answers, which may be gone
