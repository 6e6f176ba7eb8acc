-- The CLI door. A grant says what it asks for, and an API key may be asked for without a client; what
-- came of a grant is a device, whichever door it came through.

CREATE TABLE device_grant_2 (
    id            BYTEA  NOT NULL PRIMARY KEY,
    -- Tokens, a key, or a key by reverse code.
    ask           TEXT   NOT NULL,
    -- What it is polled with; of a reverse code, the code's HMAC.
    device_digest BYTEA  NOT NULL UNIQUE,
    -- Emptied when the grant is decided or expires, so that short codes come free again.
    code_mac      BYTEA  UNIQUE,
    client_id     TEXT,
    -- Of the key that is asked for.
    name          TEXT,
    scopes        TEXT   NOT NULL,
    options       TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    user_agent    TEXT,
    poll_interval BIGINT NOT NULL,
    asked_at      BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    opened_at     BIGINT,
    account_id    BYTEA,
    sign_in_at    BIGINT,
    amr           TEXT,
    approved_at   BIGINT,
    denied_at     BIGINT,
    redeemed_at   BIGINT,
    expired_at    BIGINT,
    device_id     BYTEA
);
INSERT INTO device_grant_2 (id, ask, device_digest, code_mac, client_id, scopes, options, address, user_agent,
    poll_interval, asked_at, expires_at, opened_at, account_id, sign_in_at, amr, approved_at, denied_at,
    redeemed_at, expired_at, device_id)
SELECT id, 'tokens', device_digest, code_mac, client_id, scopes, options, address, user_agent,
    poll_interval, asked_at, expires_at, opened_at, account_id, sign_in_at, amr, approved_at, denied_at,
    redeemed_at, expired_at, family_id
FROM device_grant;
DROP TABLE device_grant;
ALTER TABLE device_grant_2 RENAME TO device_grant;
CREATE INDEX device_grant_expiry ON device_grant (expires_at);
CREATE INDEX device_grant_unopened ON device_grant (expires_at) WHERE opened_at IS NULL;
CREATE INDEX device_grant_unended ON device_grant (expires_at)
    WHERE expired_at IS NULL AND denied_at IS NULL AND redeemed_at IS NULL;
CREATE INDEX device_grant_account ON device_grant (account_id) WHERE account_id IS NOT NULL;

ALTER TABLE audit RENAME COLUMN family_id TO device_id;

CREATE TABLE api_key (
    id         BYTEA  NOT NULL PRIMARY KEY,
    digest     BYTEA  NOT NULL UNIQUE,
    account_id BYTEA  NOT NULL,
    client_id  TEXT,
    grant_id   BYTEA,
    name       TEXT   NOT NULL,
    -- The beginning, by which people tell keys apart.
    shown      TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    last_used  BIGINT,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    leaked_at  BIGINT,
    -- What it was rotated to, once.
    successor_id BYTEA
);
CREATE INDEX api_key_account ON api_key (account_id);
CREATE INDEX api_key_client ON api_key (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX api_key_expiry ON api_key (expires_at);
CREATE INDEX api_key_revoked ON api_key (revoked_at) WHERE revoked_at IS NOT NULL;

-- Who somebody is elsewhere: the subject of a trusted issuer's tokens.
CREATE TABLE identity (
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    account_id BYTEA  NOT NULL,
    -- When the newest token that was listened to was issued.
    said_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identity_account ON identity (account_id);

CREATE INDEX account_email ON account (lower(email));
