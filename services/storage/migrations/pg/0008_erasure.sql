-- Accounts that are being erased, or were: what this shard has destroyed of them. No slot: it tells of this shard.
-- state: 1 erasing, 2 erased. position: how far the present round is. destroyed: counts by kind.
create table erasure (
  account bigint primary key,
  state smallint not null,
  begun_ns bigint not null,
  ended_ns bigint not null,
  round int not null,
  position text not null,
  destroyed text not null
);

-- What has to do with an account is found without reading all. None of the columns ever changes.
create index conversation_a on conversation (a) where a <> 0;
create index conversation_b on conversation (b) where b <> 0;
create index roster_other on roster (other);
