-- Second factors. A browser that has shown a password, and has yet to show something else, is half
-- signed in: its session awaits that.

ALTER TABLE browser_session ADD COLUMN awaits TEXT;

CREATE TABLE totp (
    account_id   BYTEA  NOT NULL PRIMARY KEY,
    -- RFC 6238 key, sealed under the server's key.
    sealed       BYTEA  NOT NULL,
    -- The session that sets it up: no other one sees the key.
    session      BYTEA  NOT NULL,
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

CREATE TABLE passkey (
    id            BYTEA  NOT NULL PRIMARY KEY,
    account_id    BYTEA  NOT NULL,
    credential_id BYTEA  NOT NULL UNIQUE,
    -- Public key and sign counter, as webauthn-rs writes them.
    credential    TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used     BIGINT
);
CREATE INDEX passkey_account ON passkey (account_id);

-- What a browser was asked to sign, until it is answered, once.
CREATE TABLE passkey_challenge (
    browser    BYTEA  NOT NULL,
    kind       TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (browser, kind)
);
CREATE INDEX passkey_challenge_expiry ON passkey_challenge (expires_at);
