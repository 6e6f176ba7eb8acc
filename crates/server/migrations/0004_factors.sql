-- Second factors. A browser that has shown a password, and has yet to show something else, is half
-- signed in: its session awaits that.

ALTER TABLE browser_session ADD COLUMN awaits TEXT;

CREATE TABLE totp (
    account_id   BYTEA  NOT NULL PRIMARY KEY,
    -- RFC 6238 key, sealed under the server's key.
    sealed       BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Until then it counts for nothing.
    confirmed_at BIGINT,
    -- The newest step that was accepted; neither it nor an older one is again.
    last_step    BIGINT NOT NULL
);

CREATE TABLE recovery_code (
    account_id BYTEA  NOT NULL,
    mac        BYTEA  NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (account_id, mac)
);
