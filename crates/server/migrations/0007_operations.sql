-- Clients that prove who they are by signing, secrets that overlap, and what few clients say of
-- themselves, as JSON. A revision counts changes.
ALTER TABLE client ADD COLUMN jwks TEXT;
ALTER TABLE client ADD COLUMN old_secret_digest BYTEA;
ALTER TABLE client ADD COLUMN old_secret_until BIGINT;
ALTER TABLE client ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
-- Of the token that a client which registered itself changes itself with.
ALTER TABLE client ADD COLUMN registration BYTEA;
ALTER TABLE client ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

-- The command line signs in through the browser of its own machine, where there is one.
UPDATE client SET grants = grants || ' authorization_code',
    details = '{"redirect_uris":["http://127.0.0.1/callback","http://[::1]/callback"]}'
    WHERE id = 'countersign-cli' AND grants = 'urn:ietf:params:oauth:grant-type:device_code refresh_token';

-- The key that tokens are bound to, if they are.
ALTER TABLE token_family ADD COLUMN jkt TEXT;

-- Access tokens of a client for itself belong to no family.
CREATE TABLE access_token_2 (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    id         BYTEA  NOT NULL,
    family_id  BYTEA,
    client_id  TEXT,
    scopes     TEXT   NOT NULL,
    audience   TEXT   NOT NULL,
    jkt        TEXT,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
INSERT INTO access_token_2 (digest, id, family_id, scopes, audience, issued_at, expires_at)
SELECT digest, id, family_id, scopes, audience, issued_at, expires_at FROM access_token;
DROP TABLE access_token;
ALTER TABLE access_token_2 RENAME TO access_token;
CREATE INDEX access_token_expiry ON access_token (expires_at);

-- Assertions and proofs that were shown, until they would not be good any more.
CREATE TABLE shown_once (
    digest   BYTEA  NOT NULL PRIMARY KEY,
    until_at BIGINT NOT NULL
);
CREATE INDEX shown_once_until ON shown_once (until_at);

-- Who did it, where that is not the person or client that it is about. Sealed rows have a number and
-- a hash over themselves and the row before, so that a row that is removed or changed is missed.
ALTER TABLE audit ADD COLUMN actor TEXT;
ALTER TABLE audit ADD COLUMN seq BIGINT;
ALTER TABLE audit ADD COLUMN hash BYTEA;
CREATE UNIQUE INDEX audit_seq ON audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_account ON audit (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_client ON audit (client_id, id) WHERE client_id IS NOT NULL;

-- What happened how often in each hour.
CREATE TABLE figure (
    hour_at BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    door    TEXT   NOT NULL,
    label   TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (hour_at, name, door, label)
);

-- Answers to what must be done once however often it is asked. Sealed: there may be a secret in them.
CREATE TABLE answered (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    request    BYTEA  NOT NULL,
    answer     BYTEA,
    expires_at BIGINT NOT NULL
);
CREATE INDEX answered_expiry ON answered (expires_at);
