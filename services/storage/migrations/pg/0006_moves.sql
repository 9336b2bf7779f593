-- Ranges of slots that move from shard to shard (docs/flows/shard-move.md). A range without a row is served.
-- state: 1 export, 2 sealed, 3 moved, 4 import, 5 open, 6 aborted. before: the state an import or export came from.
-- mover: what the only mover that may write an import drew; seen: the target's owner knows that it must not serve yet.
-- phase, tab, place: how far the first copy is.
create table slot_owner (
  first int primary key,
  last int not null,
  state smallint not null,
  before smallint not null,
  move bigint not null,
  epoch bigint not null,
  mover bigint not null,
  seen smallint not null,
  phase smallint not null,
  tab smallint not null,
  place text not null,
  rows_done bigint not null,
  bytes_done bigint not null,
  rows_all bigint not null
);

-- Keys of rows that changed in a range that is exported, or open with a way back. Written by triggers that exist only
-- while there is one.
create table move_log (
  entry bigint generated always as identity primary key,
  k1 bigint not null,
  k2 bigint not null,
  k3 bigint not null,
  slot int not null,
  tab smallint not null,
  kb bytea not null
) with (
  autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_threshold = 1000000, autovacuum_vacuum_insert_threshold = -1);
create index move_log_key on move_log (slot, tab, k1, k2, k3);

-- Outbox entries of an imported range, with the source's numbers; they get the shard's own when it is opened.
create table outbox_import (
  entry bigint not null,
  conv_hi bigint not null,
  conv_lo bigint not null,
  recipient bigint not null,
  mid bigint not null,
  accepted_ns bigint not null,
  slot int not null,
  kind smallint not null,
  payload bytea,
  primary key (slot, entry)
);
