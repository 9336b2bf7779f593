-- Ranges of slots that move from shard to shard (docs/flows/shard-move.md). A range without a row is served.
-- state: 1 export, 2 sealed, 3 moved, 4 import, 5 open, 6 aborted. before: the state an import or export came from.
-- mover: what the only mover that may write an import drew; seen: the target's owner knows that it must not serve yet.
-- phase, tab, place: how far the first copy is.
create table slot_owner (
  first integer primary key,
  last integer not null,
  state integer not null,
  before integer not null,
  move integer not null,
  epoch integer not null,
  mover integer not null,
  seen integer not null,
  phase integer not null,
  tab integer not null,
  place text not null,
  rows_done integer not null,
  bytes_done integer not null,
  rows_all integer not null
) strict;

-- Keys of rows that changed in a range that is exported, or open with a way back. Written by triggers that exist only
-- while there is one.
create table move_log (
  entry integer primary key autoincrement,
  slot integer not null,
  tab integer not null,
  k1 integer not null,
  k2 integer not null,
  k3 integer not null,
  kb blob not null
) strict;
create index move_log_key on move_log (slot, tab, k1, k2, k3);

-- Outbox entries of an imported range, with the source's numbers; they get the shard's own when it is opened.
create table outbox_import (
  entry integer not null,
  slot integer not null,
  conv_hi integer not null,
  conv_lo integer not null,
  recipient integer not null,
  kind integer not null,
  mid integer not null,
  payload blob not null,
  accepted_ns integer not null,
  primary key (slot, entry)
) strict, without rowid;
