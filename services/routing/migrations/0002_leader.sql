-- Which replica of routing leads. Who leads raises the beat every second; who takes over raises the term, which every
-- commit of maps checks in its own transaction. An empty node: the leader has resigned, or there never was one.
CREATE TABLE leader (
  id BIGINT PRIMARY KEY,
  term BIGINT NOT NULL,
  node TEXT NOT NULL,
  incarnation BIGINT NOT NULL,
  address TEXT NOT NULL,
  beat BIGINT NOT NULL
);
INSERT INTO leader (id, term, node, incarnation, address, beat) VALUES (1, 0, '', 0, '', 0);
