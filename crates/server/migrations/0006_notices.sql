-- Notices on their way: written together with what they tell of, deleted once they arrived.
CREATE TABLE outbox (
    id         BYTEA  NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,
    -- Which webhook; nothing for mail.
    target     TEXT   NOT NULL,
    -- Sealed under the server's key: there are addresses and links in it.
    body       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    -- Nobody tries any more.
    failed_at  BIGINT,
    error      TEXT
);
CREATE INDEX outbox_due ON outbox (kind, target, next_at) WHERE failed_at IS NULL;
CREATE INDEX outbox_age ON outbox (created_at);

-- Links in notices that disconnect one device, once.
CREATE TABLE revoke_link (
    id         BYTEA  NOT NULL PRIMARY KEY,
    account_id BYTEA  NOT NULL,
    device_id  BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX revoke_link_expiry ON revoke_link (expires_at);

-- Whoever entered its code first.
ALTER TABLE device_grant ADD COLUMN opened_by BYTEA;

-- With which login an API key was made, or a question answered: whatever came of an approval that is
-- taken back ends with it.
ALTER TABLE api_key ADD COLUMN made_with BYTEA;
ALTER TABLE device_grant ADD COLUMN made_with BYTEA;
CREATE INDEX api_key_made_with ON api_key (made_with) WHERE made_with IS NOT NULL;
CREATE INDEX device_grant_made_with ON device_grant (made_with) WHERE made_with IS NOT NULL;
