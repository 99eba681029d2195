-- Deliveries of package journal, PostgreSQL 9.6 and later.
--
-- The body is the sealed envelope as it came. There is one row per event and
-- what was said about it. received_at is in microseconds since 1970, UTC, by the
-- database's clock:
--   SELECT to_timestamp(received_at / 1e6), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at BIGINT NOT NULL,
    id          BYTEA  NOT NULL,
    mark        BYTEA  NOT NULL,
    merchant_id TEXT   NOT NULL,
    body        BYTEA  NOT NULL,
    PRIMARY KEY (received_at, id, mark),
    UNIQUE (id, mark)
);
