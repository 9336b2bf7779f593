-- Rooms, recalled messages, profiles. Columns are added with constant defaults, which changes no stored row.

-- flags: 1 unlisted (delivered, but not in the history), 2 tombstone (recalled: position and key are left).
-- target: the row tells that this mid was recalled.
alter table message add column flags smallint not null default 0, add column target bigint;

-- profile: TimUserBean, Thrift compact; empty: none yet.
alter table account add column profile bytea not null default '';

-- kind: 1 a manager admits, 2 open. managers: ids, 8 bytes each, big-endian, without the founder. bean: TimRoomBean.
-- The head is that of the conversation {id, 0}.
create table room (
  slot int not null,
  id bigint not null,
  founder bigint not null,
  created_ns bigint not null,
  version bigint not null,
  members int not null,
  kind smallint not null,
  cancelled smallint not null,
  domain text not null,
  managers bytea not null,
  create_key bytea not null,
  bean bytea not null,
  primary key (slot, id)
) with (fillfactor = 80);

-- What an account is in a room, at the room's shard. bits: storage.proto, RoomBits.
create table member (
  room bigint not null,
  account bigint not null,
  slot int not null,
  bits int not null,
  primary key (slot, room, account)
) with (fillfactor = 90);

-- The account's own list, at the account's shard. Rows without member (1) and refuses (32) only keep the version.
create table account_room (
  account bigint not null,
  room bigint not null,
  version bigint not null,
  since bigint not null,
  slot int not null,
  bits int not null,
  primary key (slot, account, room)
) with (fillfactor = 80);
