-- Moments are milliseconds since 1970 in UTC. Rows keep their rowid: it orders what was made in the same millisecond.

CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

CREATE TABLE tiers (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE tier_quotas (
  id TEXT NOT NULL PRIMARY KEY, tier_id TEXT NOT NULL, metric TEXT NOT NULL, max INTEGER NOT NULL, period TEXT NOT NULL,
  UNIQUE (tier_id, metric, period)
) STRICT;

CREATE TABLE identity_quotas (
  id TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, metric TEXT NOT NULL, max INTEGER NOT NULL, period TEXT NOT NULL,
  UNIQUE (address, metric, period)
) STRICT;

CREATE TABLE clients (
  id TEXT NOT NULL PRIMARY KEY, display_name TEXT NOT NULL, secret_hash BLOB NOT NULL, default_tier TEXT NOT NULL,
  created_at INTEGER NOT NULL, max_identities INTEGER
) STRICT;

CREATE TABLE identities (
  address TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL, client_id TEXT NOT NULL, public_key BLOB NOT NULL,
  identity_version INTEGER NOT NULL, tier_id TEXT NOT NULL, former_tier_id TEXT, status TEXT NOT NULL,
  grace_period_ends_at INTEGER
) STRICT;
CREATE INDEX identities_by_client ON identities (client_id);

CREATE TABLE devices (
  id TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, user_id TEXT NOT NULL, username TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE, password_hash BLOB NOT NULL, created_at INTEGER NOT NULL,
  created_by_device TEXT NOT NULL, last_login_at INTEGER, communication_language TEXT NOT NULL,
  is_backup INTEGER NOT NULL, failed_logins INTEGER NOT NULL DEFAULT 0, locked_until INTEGER
) STRICT;
CREATE INDEX devices_by_address ON devices (address);

CREATE TABLE push_registrations (
  device_id TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, identifier TEXT NOT NULL, platform TEXT NOT NULL,
  handle TEXT NOT NULL, app_id TEXT NOT NULL, environment TEXT NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX push_registrations_by_address ON push_registrations (address);

CREATE TABLE feature_flags (
  address TEXT NOT NULL, name TEXT NOT NULL, is_enabled INTEGER NOT NULL, PRIMARY KEY (address, name)
) STRICT;

CREATE TABLE challenges (
  id TEXT NOT NULL PRIMARY KEY, expires_at INTEGER NOT NULL, created_by TEXT, created_by_device TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX challenges_by_creator ON challenges (created_by);

CREATE TABLE templates (
  id TEXT NOT NULL PRIMARY KEY, created_by TEXT NOT NULL, created_by_device TEXT NOT NULL, max_allocations INTEGER,
  expires_at INTEGER, content BLOB NOT NULL, created_at INTEGER NOT NULL, for_identity TEXT, password BLOB
) STRICT;
CREATE INDEX templates_by_creator ON templates (created_by, created_at);

CREATE TABLE template_allocations (
  template_id TEXT NOT NULL, address TEXT NOT NULL, device_id TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (template_id, address)
) STRICT;
CREATE INDEX template_allocations_by_address ON template_allocations (address);

CREATE TABLE relationships (
  id TEXT NOT NULL PRIMARY KEY, template_id TEXT, sender TEXT NOT NULL, receiver TEXT NOT NULL,
  created_at INTEGER NOT NULL, status TEXT NOT NULL, creation_content BLOB, creation_response_content BLOB,
  sender_has_decomposed INTEGER NOT NULL DEFAULT 0, receiver_has_decomposed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX relationships_by_sender ON relationships (sender, receiver);
CREATE INDEX relationships_by_receiver ON relationships (receiver, sender);
CREATE INDEX relationships_by_template ON relationships (template_id);
-- Two identities have one living relationship at most, whoever asked for it.
CREATE UNIQUE INDEX one_living_relationship ON relationships (min(sender, receiver), max(sender, receiver))
  WHERE status IN ('Pending', 'Active', 'Terminated');

CREATE TABLE relationship_audit (
  relationship_id TEXT NOT NULL, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, created_by_device TEXT,
  reason TEXT NOT NULL, old_status TEXT, new_status TEXT NOT NULL
) STRICT;
CREATE INDEX relationship_audit_by_relationship ON relationship_audit (relationship_id);

CREATE TABLE messages (
  id TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, created_by_device TEXT NOT NULL,
  body BLOB NOT NULL, attachments TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_sender ON messages (created_by, created_at);

CREATE TABLE message_recipients (
  message_id TEXT NOT NULL, address TEXT NOT NULL, sender TEXT NOT NULL, relationship_id TEXT NOT NULL,
  encrypted_key BLOB NOT NULL, received_at INTEGER, received_by_device TEXT,
  sender_has_decomposed INTEGER NOT NULL DEFAULT 0, recipient_has_decomposed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX message_recipients_by_message ON message_recipients (message_id);
CREATE INDEX message_recipients_by_address ON message_recipients (address, message_id);
CREATE INDEX message_recipients_by_relationship ON message_recipients (relationship_id);
CREATE INDEX unreceived_messages ON message_recipients (address, sender) WHERE received_at IS NULL;

CREATE TABLE files (
  id TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, created_by_device TEXT NOT NULL,
  modified_at INTEGER NOT NULL, modified_by TEXT NOT NULL, modified_by_device TEXT NOT NULL, owner TEXT NOT NULL,
  owner_signature BLOB NOT NULL, ownership_token TEXT NOT NULL, ownership_is_locked INTEGER NOT NULL DEFAULT 0,
  cipher_size INTEGER NOT NULL, cipher_hash BLOB NOT NULL, expires_at INTEGER NOT NULL,
  encrypted_properties BLOB NOT NULL
) STRICT;
CREATE INDEX files_by_creator ON files (created_by, created_at);
CREATE INDEX files_by_owner ON files (owner);

CREATE TABLE file_contents (file_id TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL) STRICT;

CREATE TABLE tokens (
  id TEXT NOT NULL PRIMARY KEY, created_by TEXT, created_by_device TEXT, created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, content BLOB, for_identity TEXT, password BLOB,
  failed_accesses INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tokens_by_creator ON tokens (created_by, created_at);

CREATE TABLE token_allocations (
  token_id TEXT NOT NULL, address TEXT NOT NULL, device_id TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (token_id, address)
) STRICT;
CREATE INDEX token_allocations_by_address ON token_allocations (address);

CREATE TABLE datawallets (address TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) STRICT;

CREATE TABLE datawallet_modifications (
  address TEXT NOT NULL, idx INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, datawallet_version INTEGER NOT NULL,
  object_identifier TEXT NOT NULL, payload_category TEXT, created_at INTEGER NOT NULL, created_by_device TEXT NOT NULL,
  collection TEXT NOT NULL, type TEXT NOT NULL, encrypted_payload BLOB, PRIMARY KEY (address, idx)
) STRICT;

CREATE TABLE sync_runs (
  id TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, idx INTEGER NOT NULL, type TEXT NOT NULL,
  expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL, created_by_device TEXT NOT NULL,
  event_count INTEGER NOT NULL, finalized_at INTEGER, UNIQUE (address, idx)
) STRICT;
-- One run of an identity at a time, even if two requests should ever pass the check at once.
CREATE UNIQUE INDEX one_open_sync_run ON sync_runs (address) WHERE finalized_at IS NULL;

CREATE TABLE external_events (
  id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, idx INTEGER NOT NULL, type TEXT NOT NULL,
  created_at INTEGER NOT NULL, payload TEXT NOT NULL, context TEXT, is_blocked INTEGER NOT NULL DEFAULT 0,
  error_count INTEGER NOT NULL DEFAULT 0, sync_run_id TEXT, is_synced INTEGER NOT NULL DEFAULT 0, UNIQUE (owner, idx)
) STRICT;
CREATE INDEX waiting_events ON external_events (owner, idx) WHERE sync_run_id IS NULL;
CREATE INDEX events_by_run ON external_events (sync_run_id, idx) WHERE sync_run_id IS NOT NULL;
CREATE INDEX events_by_context ON external_events (context) WHERE context IS NOT NULL;
-- Indexes are never given twice, also when the newest event was deleted.
CREATE TABLE event_counters (owner TEXT NOT NULL PRIMARY KEY, next INTEGER NOT NULL) STRICT;

CREATE TABLE sync_errors (
  sync_run_id TEXT NOT NULL, external_event_id TEXT NOT NULL, error_code TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sync_errors_by_run ON sync_errors (sync_run_id);

CREATE TABLE deletion_processes (
  id TEXT NOT NULL PRIMARY KEY, address TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL,
  created_by_device TEXT NOT NULL, grace_period_ends_at INTEGER, cancelled_at INTEGER,
  reminder_1_sent_at INTEGER, reminder_2_sent_at INTEGER, reminder_3_sent_at INTEGER
) STRICT;
CREATE INDEX deletion_processes_by_address ON deletion_processes (address);

CREATE TABLE deletion_audit (
  id TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL, username_hash BLOB NOT NULL, message TEXT NOT NULL
) STRICT;
CREATE INDEX deletion_audit_by_username ON deletion_audit (username_hash);

CREATE TABLE announcements (
  id TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER, severity TEXT NOT NULL,
  is_silent INTEGER NOT NULL, iql_query TEXT, texts TEXT NOT NULL, actions TEXT NOT NULL
) STRICT;

CREATE TABLE announcement_recipients (
  announcement_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (announcement_id, address)
) STRICT;
CREATE INDEX announcement_recipients_by_address ON announcement_recipients (address);
