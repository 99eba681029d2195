-- Deliveries of package journal, MariaDB and MySQL.
--
-- The body is the sealed envelope as it came. received_at is in microseconds
-- since 1970, UTC, by the database's clock:
--   SELECT FROM_UNIXTIME(received_at / 1e6), merchant_id FROM ottpay_journal;
CREATE TABLE IF NOT EXISTS ottpay_journal (
    received_at BIGINT         NOT NULL,
    nonce       BINARY(16)     NOT NULL, -- tells deliveries of the same microsecond apart
    merchant_id VARBINARY(255) NOT NULL,
    id          BINARY(32)     NOT NULL,
    mark        BINARY(32)     NOT NULL,
    body        MEDIUMBLOB     NOT NULL,
    PRIMARY KEY (received_at, nonce)
) ENGINE = InnoDB;
