BEGIN TRANSACTION;
CREATE TABLE access_token (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    id         BYTEA  NOT NULL,
    family_id  BYTEA  NOT NULL,
    scopes     TEXT   NOT NULL,
    audience   TEXT   NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE account (
    id          BYTEA  NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    email       TEXT,
    full_name   TEXT,
    tier        TEXT   NOT NULL,
    password    TEXT,
    admin_at    BIGINT,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);
CREATE TABLE attempt (
    bucket    BYTEA  NOT NULL PRIMARY KEY,
    count     BIGINT NOT NULL,
    strikes   BIGINT NOT NULL,
    until_at  BIGINT NOT NULL,
    forget_at BIGINT NOT NULL
);
CREATE TABLE audit (
    id         BYTEA  NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    action     TEXT   NOT NULL,
    account_id BYTEA,
    client_id  TEXT,
    grant_id   BYTEA,
    family_id  BYTEA,
    address    TEXT,
    detail     TEXT
);
CREATE TABLE browser_session (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    account_id BYTEA  NOT NULL,
    sign_in_at BIGINT NOT NULL,
    amr        TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE client (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    secret_digest BYTEA,
    auth_method   TEXT,
    scopes        TEXT   NOT NULL,
    grants        TEXT   NOT NULL,
    resources     TEXT   NOT NULL,
    token_format  TEXT   NOT NULL,
    id_token_alg  TEXT   NOT NULL,
    code_ttl      BIGINT,
    poll_interval BIGINT,
    created_at    BIGINT NOT NULL
);
CREATE TABLE device_grant (
    id            BYTEA  NOT NULL PRIMARY KEY,
    device_digest BYTEA  NOT NULL UNIQUE,
    -- Emptied when the grant is decided or expires, so that short codes come free again.
    code_mac      BYTEA  UNIQUE,
    client_id     TEXT   NOT NULL,
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
    family_id     BYTEA
);
CREATE TABLE installation (
    key   TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
INSERT INTO "installation" VALUES('key_fingerprint',X'00');
CREATE TABLE refresh_token (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    family_id  BYTEA  NOT NULL,
    parent     BYTEA,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT
);
CREATE TABLE revoked_token (
    id         BYTEA  NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE TABLE schema_migration (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL);
INSERT INTO "schema_migration" VALUES(1,0);
CREATE TABLE signing_key (
    id         TEXT   NOT NULL PRIMARY KEY,
    alg        TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    active_at  BIGINT,
    retired_at BIGINT
);
CREATE TABLE token_family (
    id         BYTEA  NOT NULL PRIMARY KEY,
    account_id BYTEA  NOT NULL,
    client_id  TEXT   NOT NULL,
    grant_id   BYTEA  NOT NULL,
    scopes     TEXT   NOT NULL,
    resources  TEXT   NOT NULL,
    nonce      TEXT,
    sign_in_at BIGINT NOT NULL,
    amr        TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    last_used  BIGINT,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX browser_session_account ON browser_session (account_id);
CREATE INDEX browser_session_expiry ON browser_session (expires_at);
CREATE INDEX device_grant_expiry ON device_grant (expires_at);
CREATE INDEX device_grant_unopened ON device_grant (expires_at) WHERE opened_at IS NULL;
CREATE INDEX device_grant_account ON device_grant (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX token_family_account ON token_family (account_id);
CREATE INDEX token_family_client ON token_family (client_id);
CREATE INDEX token_family_expiry ON token_family (expires_at);
CREATE INDEX refresh_token_parent ON refresh_token (parent) WHERE parent IS NOT NULL;
CREATE INDEX refresh_token_expiry ON refresh_token (expires_at);
CREATE INDEX access_token_expiry ON access_token (expires_at);
CREATE INDEX revoked_token_expiry ON revoked_token (expires_at);
CREATE UNIQUE INDEX signing_key_next ON signing_key (alg) WHERE active_at IS NULL;
CREATE UNIQUE INDEX signing_key_current ON signing_key (alg) WHERE active_at IS NOT NULL AND retired_at IS NULL;
CREATE INDEX attempt_forget ON attempt (forget_at);
CREATE INDEX audit_at ON audit (at);
COMMIT;
