-- Encryption at rest. Data keys of this shard, wrapped by a key-encryption key that is never here. serial: the newest
-- seals new rows; 0: brought by rows of another shard, opens only. kek: which key-encryption key wrapped it.
create table data_key (
  id integer primary key,
  serial integer not null,
  kek integer not null,
  created_ns integer not null,
  wrapped blob not null
) strict;

-- Where work in the background stands.
create table chore (
  name text primary key,
  position text not null,
  done integer not null,
  updated_ns integer not null
) strict, without rowid;
