-- The maps routing publishes. One row of meta: every change raises its version by compare-and-set.
CREATE TABLE meta (
  id BIGINT PRIMARY KEY,
  version BIGINT NOT NULL
);
INSERT INTO meta (id, version) VALUES (1, 0);

-- kind: 1 sessions, 2 groups (owner: a node), 3 storage (owner: a shard).
CREATE TABLE placement (
  kind BIGINT NOT NULL,
  first_slot BIGINT NOT NULL,
  last_slot BIGINT NOT NULL,
  owner TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  PRIMARY KEY (kind, first_slot)
);

-- owner: the storage node that serves the shard; empty: nobody yet.
CREATE TABLE shard (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  epoch BIGINT NOT NULL
);

-- Who was there: routing tells a restarted node from one that only reconnects, and knows addresses after its own restart.
CREATE TABLE node (
  name TEXT PRIMARY KEY,
  service TEXT NOT NULL,
  address TEXT NOT NULL,
  incarnation BIGINT NOT NULL,
  alive BIGINT NOT NULL
);
