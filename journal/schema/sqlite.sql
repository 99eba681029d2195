-- Deliveries of package journal, SQLite.
--
-- The body is the sealed envelope as it came. received_at is in microseconds
-- since 1970, UTC:
--   SELECT datetime(received_at / 1000000, 'unixepoch'), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at INTEGER NOT NULL,
    nonce       BLOB    NOT NULL, -- tells deliveries of the same millisecond apart
    merchant_id TEXT    NOT NULL,
    id          BLOB    NOT NULL,
    mark        BLOB    NOT NULL,
    body        BLOB    NOT NULL,
    PRIMARY KEY (received_at, nonce)
);
