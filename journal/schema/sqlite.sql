-- Deliveries of package journal, SQLite 3.24 and later.
--
-- The body is the sealed envelope as it came. There is one row per event and
-- what was said about it. received_at is in microseconds since 1970, UTC:
--   SELECT datetime(received_at / 1000000, 'unixepoch'), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    mark        BLOB    NOT NULL,
    merchant_id TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    PRIMARY KEY (received_at, id, mark),
    UNIQUE (id, mark)
);
