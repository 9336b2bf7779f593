-- Rooms, recalled messages, profiles. Columns are added with constant defaults, which changes no stored row.

-- flags: 1 unlisted (delivered, but not in the history), 2 tombstone (recalled: position and key are left).
-- target: the row tells that this mid was recalled.
alter table message add column flags integer not null default 0;
alter table message add column target integer;

-- profile: TimUserBean, Thrift compact; empty: none yet.
alter table account add column profile blob not null default x'';

-- kind: 1 a manager admits, 2 open. managers: ids, 8 bytes each, big-endian, without the founder. bean: TimRoomBean.
-- The head is that of the conversation {id, 0}.
create table room (
  slot integer not null,
  id integer not null,
  domain text not null,
  founder integer not null,
  managers blob not null,
  kind integer not null,
  cancelled integer not null,
  version integer not null,
  members integer not null,
  created_ns integer not null,
  bean blob not null,
  create_key blob not null,
  primary key (slot, id)
) strict, without rowid;

-- What an account is in a room, at the room's shard. bits: storage.proto, RoomBits.
create table member (
  slot integer not null,
  room integer not null,
  account integer not null,
  bits integer not null,
  primary key (slot, room, account)
) strict, without rowid;

-- The account's own list, at the account's shard. Rows without member (1) and refuses (32) only keep the version.
create table account_room (
  slot integer not null,
  account integer not null,
  room integer not null,
  version integer not null,
  bits integer not null,
  since integer not null,
  primary key (slot, account, room)
) strict, without rowid;
