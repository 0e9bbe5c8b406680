-- What changed in a room after a place, in the order of the changes. Only changed messages are in it, so posts don't pay for it.
create index concurrently if not exists messages_changed on messages (room, changed) where changed is not null;
