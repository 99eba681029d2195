-- Claims of package dedupe, PostgreSQL 9.6 and later.
--
-- Times are microseconds since 1970, UTC, by the database's clock:
--   SELECT to_timestamp(done_at / 1e6) FROM ottpay_dedupe;
-- Rows with done_at remember what was handled. They are kept for good unless
-- Prune is called. Only then this index is needed:
--   CREATE INDEX ottpay_dedupe_done_at ON ottpay_dedupe (done_at);
CREATE TABLE IF NOT EXISTS ottpay_dedupe (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 32),
    mark        BYTEA  NOT NULL CHECK (octet_length(mark) = 32),
    token       BYTEA  NOT NULL CHECK (octet_length(token) = 16),
    lease_until BIGINT NOT NULL,
    done_at     BIGINT NULL
);
