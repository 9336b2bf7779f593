-- What operators want beyond what nodes say. kind 0: `node` is drained; 1 (sessions), 2 (groups): the slots stay with
-- `node` as long as it is there.
CREATE TABLE intent (
  kind BIGINT NOT NULL,
  first_slot BIGINT NOT NULL,
  last_slot BIGINT NOT NULL,
  node TEXT NOT NULL,
  PRIMARY KEY (kind, first_slot, node)
);
