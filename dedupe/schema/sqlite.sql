-- Claims of package dedupe, SQLite 3.24 and later.
--
-- Times are microseconds since 1970, UTC:
--   SELECT datetime(done_at / 1000000, 'unixepoch') FROM ottpay_dedupe;
-- Rows with done_at remember what was handled. They are kept for good unless
-- Prune is called. Only then this index is needed:
--   CREATE INDEX ottpay_dedupe_done_at ON ottpay_dedupe (done_at);
CREATE TABLE IF NOT EXISTS ottpay_dedupe (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 32),
    mark        BLOB    NOT NULL CHECK (typeof(mark) = 'blob' AND length(mark) = 32),
    token       BLOB    NOT NULL CHECK (typeof(token) = 'blob' AND length(token) = 16),
    lease_until INTEGER NOT NULL,
    done_at     INTEGER NULL
) WITHOUT ROWID;
