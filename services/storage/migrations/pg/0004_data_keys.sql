-- Encryption at rest. Data keys of this shard, wrapped by a key-encryption key that is never here. serial: the newest
-- seals new rows; 0: brought by rows of another shard, opens only. kek: which key-encryption key wrapped it.
create table data_key (
  id bigint primary key,
  serial bigint not null,
  kek bigint not null,
  created_ns bigint not null,
  wrapped bytea not null
);

-- Where work in the background stands.
create table chore (
  name text primary key,
  position text not null,
  done bigint not null,
  updated_ns bigint not null
);
