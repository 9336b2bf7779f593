-- Tables of one shard. Slot first, so that a range of slots is a range of keys; ids are 64-bit numbers cast to signed.
create table fence (
  id int primary key check (id = 1),
  epoch bigint not null,
  session bigint not null
);
insert into fence values (1, 0, 0);

-- Called by every write transaction: ends it (TN001) unless the caller is still the shard's writer, and keeps a new
-- writer out until the transaction is over.
create function fence_check(e bigint, s bigint) returns void language plpgsql volatile as $$
begin
  perform 1 from fence where id = 1 and epoch = e and session = s for share;
  if not found then
    raise exception 'another writer owns this shard' using errcode = 'TN001';
  end if;
end
$$;

create table account (
  slot int not null,
  id bigint not null,
  name_key bytea not null,
  domain text not null,
  password_hash text not null,
  created_ns bigint not null,
  primary key (slot, id)
);

-- head is only written with relation changes: the newest message row knows it better (whoever deletes message rows
-- must write head first).
create table conversation (
  slot int not null,
  conv_hi bigint not null,
  conv_lo bigint not null,
  a bigint not null,
  b bigint not null,
  head bigint not null,
  relation_version bigint not null,
  a_bits int not null,
  b_bits int not null,
  primary key (slot, conv_hi, conv_lo)
) with (fillfactor = 80);

create table message (
  conv_hi bigint not null,
  conv_lo bigint not null,
  mid bigint not null,
  sender bigint not null,
  timestamp_ns bigint not null,
  slot int not null,
  send_key bytea,
  body bytea not null,
  primary key (slot, conv_hi, conv_lo, mid)
) with (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1);
create unique index message_send_key on message (slot, conv_hi, conv_lo, sender, send_key) where send_key is not null;
alter table message alter column send_key set storage plain;

-- A queue: every row is inserted and soon deleted, so vacuum must come often and not sleep on the way.
create table outbox (
  entry bigint primary key,
  conv_hi bigint not null,
  conv_lo bigint not null,
  recipient bigint not null,
  mid bigint not null,
  accepted_ns bigint not null,
  slot int not null,
  kind smallint not null,
  payload bytea
) with (
  autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_threshold = 1000000, autovacuum_vacuum_insert_threshold = -1);

create table roster (
  slot int not null,
  account bigint not null,
  other bigint not null,
  version bigint not null,
  mine int not null,
  theirs int not null,
  primary key (slot, account, other)
) with (fillfactor = 80);

create table cursor (
  slot int not null,
  account bigint not null,
  conv_hi bigint not null,
  conv_lo bigint not null,
  other bigint not null,
  delivered bigint not null,
  dirty_since bigint,
  primary key (slot, account, conv_hi, conv_lo)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create index cursor_dirty on cursor (slot, account, dirty_since) where dirty_since is not null;

create table notice (
  slot int not null,
  account bigint not null,
  id bigint not null,
  body bytea not null,
  primary key (slot, account, id)
);

create table token (
  slot int not null,
  account bigint not null,
  hash bytea not null,
  expires_ns bigint not null,
  primary key (slot, account, hash)
);

create table audit (
  slot int not null,
  entry bigint not null,
  at_ns bigint not null,
  actor text not null,
  action text not null,
  detail text not null,
  chain bytea not null,
  primary key (slot, entry)
);
