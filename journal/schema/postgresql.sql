-- Deliveries of package journal, PostgreSQL.
--
-- The body is the sealed envelope as it came. received_at is in microseconds
-- since 1970, UTC, by the database's clock:
--   SELECT to_timestamp(received_at / 1e6), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at BIGINT NOT NULL,
    nonce       BYTEA  NOT NULL, -- tells deliveries of the same microsecond apart
    merchant_id TEXT   NOT NULL,
    id          BYTEA  NOT NULL,
    mark        BYTEA  NOT NULL,
    body        BYTEA  NOT NULL,
    PRIMARY KEY (received_at, nonce)
);
