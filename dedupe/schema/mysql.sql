-- Claims of package dedupe, MariaDB 10.3 and MySQL 5.7 and later.
--
-- The columns are binary: a text column would merge ids that differ only in
-- case, by the default collation. The engine must be one with transactions.
--
-- Times are microseconds since 1970, UTC, by the database's clock:
--   SELECT FROM_UNIXTIME(done_at / 1e6) FROM ottpay_dedupe;
-- Rows with done_at remember what was handled. They are kept for good unless
-- Prune is called. Only then this index is needed:
--   CREATE INDEX ottpay_dedupe_done_at ON ottpay_dedupe (done_at);
CREATE TABLE IF NOT EXISTS ottpay_dedupe (
    id          BINARY(32) NOT NULL PRIMARY KEY,
    mark        BINARY(32) NOT NULL,
    token       BINARY(16) NOT NULL,
    lease_until BIGINT     NOT NULL,
    done_at     BIGINT     NULL
) ENGINE = InnoDB;
