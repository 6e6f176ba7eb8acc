-- The socket door. A pairing keeps its code until it is collected or ends, because the node says it
-- again when it collects.

ALTER TABLE device_grant ADD COLUMN node_id BYTEA;
-- One pairing of a node at a time.
CREATE UNIQUE INDEX device_grant_node ON device_grant (node_id) WHERE node_id IS NOT NULL AND code_mac IS NOT NULL;

CREATE TABLE node (
    id         BYTEA  NOT NULL PRIMARY KEY,
    -- What the node calls itself.
    node_id    BYTEA  NOT NULL UNIQUE,
    account_id BYTEA,
    digest     BYTEA  UNIQUE,
    -- The argon2id hash of the token, if there is one: what an imported token is known by until it is
    -- used, and what every one is exported with.
    phc        TEXT,
    name       TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    user_agent TEXT,
    paired_at  BIGINT NOT NULL,
    last_used  BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX node_account ON node (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX node_expiry ON node (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX node_revoked ON node (revoked_at) WHERE revoked_at IS NOT NULL;

-- Which nodes are connected to which server, where several share a database.
CREATE TABLE presence (
    server  BYTEA  NOT NULL PRIMARY KEY,
    beat_at BIGINT NOT NULL,
    devices BYTEA  NOT NULL
);
