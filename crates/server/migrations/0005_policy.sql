-- Passkeys are not the only thing that a browser is asked for.
ALTER TABLE passkey_challenge RENAME TO challenge;

-- What of the approval policy is otherwise for one client, as JSON.
ALTER TABLE client ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';

-- Where a PIN must be typed on the device before it collects: how often that was tried.
ALTER TABLE device_grant ADD COLUMN pin_tries BIGINT;
