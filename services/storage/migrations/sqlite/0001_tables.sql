-- Tables of one shard. Slot first, so that a range of slots is a range of keys; ids are 64-bit numbers cast to signed.
create table fence (
  id integer primary key check (id = 1),
  epoch integer not null,
  session integer not null
) strict;
insert into fence values (1, 0, 0);

create table account (
  slot integer not null,
  id integer not null,
  name_key blob not null,
  domain text not null,
  password_hash text not null,
  created_ns integer not null,
  primary key (slot, id)
) strict, without rowid;

create table conversation (
  slot integer not null,
  conv_hi integer not null,
  conv_lo integer not null,
  a integer not null,
  b integer not null,
  head integer not null,
  a_bits integer not null,
  b_bits integer not null,
  relation_version integer not null,
  primary key (slot, conv_hi, conv_lo)
) strict, without rowid;

create table message (
  slot integer not null,
  conv_hi integer not null,
  conv_lo integer not null,
  mid integer not null,
  sender integer not null,
  send_key blob,
  timestamp_ns integer not null,
  body blob not null,
  primary key (slot, conv_hi, conv_lo, mid)
) strict;
create unique index message_send_key on message (slot, conv_hi, conv_lo, sender, send_key) where send_key is not null;

create table outbox (
  entry integer primary key,
  slot integer not null,
  conv_hi integer not null,
  conv_lo integer not null,
  recipient integer not null,
  kind integer not null,
  mid integer not null,
  payload blob not null,
  accepted_ns integer not null
) strict;

create table roster (
  slot integer not null,
  account integer not null,
  other integer not null,
  version integer not null,
  mine integer not null,
  theirs integer not null,
  primary key (slot, account, other)
) strict, without rowid;

create table cursor (
  slot integer not null,
  account integer not null,
  conv_hi integer not null,
  conv_lo integer not null,
  other integer not null,
  delivered integer not null,
  dirty_since integer,
  primary key (slot, account, conv_hi, conv_lo)
) strict, without rowid;
create index cursor_dirty on cursor (slot, account, dirty_since) where dirty_since is not null;

create table notice (
  slot integer not null,
  account integer not null,
  id integer not null,
  body blob not null,
  primary key (slot, account, id)
) strict, without rowid;

create table token (
  slot integer not null,
  account integer not null,
  hash blob not null,
  expires_ns integer not null,
  primary key (slot, account, hash)
) strict, without rowid;

create table audit (
  slot integer not null,
  entry integer not null,
  at_ns integer not null,
  actor text not null,
  action text not null,
  detail text not null,
  chain blob not null,
  primary key (slot, entry)
) strict, without rowid;
