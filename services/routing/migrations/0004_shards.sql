-- What operators want of shards. shard_place: shards added while the cluster runs (dsn), the highest timeline each was
-- served from, and those that shall get no slots.
CREATE TABLE shard_place (
  name TEXT PRIMARY KEY,
  dsn TEXT NOT NULL,
  term BIGINT NOT NULL,
  draining BIGINT NOT NULL
);

-- Slots on their way between shards, until the way back is given up. wish: 0 go, 1 abort, 2 finish. kept_since: seconds
-- since 1970, 0: the target does not serve yet. Whether a move is decided is told by `placement`.
CREATE TABLE shard_move (
  move BIGINT PRIMARY KEY,
  first_slot BIGINT NOT NULL,
  last_slot BIGINT NOT NULL,
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  back_of BIGINT NOT NULL,
  bytes_per_second BIGINT NOT NULL,
  wish BIGINT NOT NULL,
  kept_since BIGINT NOT NULL,
  error TEXT NOT NULL
);

-- Numbers of moves are never given twice.
CREATE TABLE shard_move_number (
  id BIGINT PRIMARY KEY,
  last BIGINT NOT NULL
);
INSERT INTO shard_move_number (id, last) VALUES (1, 0);
