-- Timeline and system identifier of the primary on which the shard was last acquired: its standbys have them, too, and
-- so tell of a primary that is newer than one that came back.
alter table fence add column term bigint not null default 0, add column system bigint not null default 0;
