-- Deliveries of package journal, MariaDB 10.3 and MySQL 5.7 and later.
--
-- The body is the sealed envelope as it came. There is one row per event and
-- what was said about it. received_at is in microseconds since 1970, UTC, by the
-- database's clock:
--   SELECT FROM_UNIXTIME(received_at / 1e6), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at BIGINT         NOT NULL,
    id          BINARY(32)     NOT NULL,
    mark        BINARY(32)     NOT NULL,
    merchant_id VARBINARY(255) NOT NULL,
    body        MEDIUMBLOB     NOT NULL,
    synced      INT            NOT NULL DEFAULT 0, -- written to have the row on disk
    PRIMARY KEY (received_at, id, mark),
    UNIQUE (id, mark)
) ENGINE = InnoDB;
