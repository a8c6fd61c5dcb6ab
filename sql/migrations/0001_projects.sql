-- Projects, who may enter them, and the constants of this database.

CREATE TABLE schema_migration (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_migration IS 'The migrations this database has, one row each.';
COMMENT ON COLUMN schema_migration.version IS 'Number of the migration, without gaps from 1.';
COMMENT ON COLUMN schema_migration.name IS 'The rest of its file name.';
COMMENT ON COLUMN schema_migration.applied_at IS 'When it was applied.';

-- Checks of values are domains, not CHECK constraints of tables: PostgreSQL reads a
-- domain's check once per connection, but a table's from its stored text again for
-- every statement that writes a row, which cost more than writing the row.

CREATE DOMAIN object_name AS text COLLATE "C" CHECK (VALUE ~ '^[a-z0-9][a-z0-9._-]{0,62}$');
COMMENT ON DOMAIN object_name IS 'Name of a project or a study, as it stands in addresses.';

CREATE DOMAIN json_object AS json CHECK (json_typeof(VALUE) = 'object');
COMMENT ON DOMAIN json_object IS 'A JSON object; json, not jsonb, to keep the order of members and the text of numbers.';

CREATE DOMAIN json_array AS json CHECK (json_typeof(VALUE) = 'array');
COMMENT ON DOMAIN json_array IS 'A JSON array.';

CREATE DOMAIN ordinal AS integer CHECK (VALUE > 0);
COMMENT ON DOMAIN ordinal IS '1, 2, … within something.';

CREATE DOMAIN step AS bigint CHECK (VALUE >= 0);
COMMENT ON DOMAIN step IS 'Step, epoch or whatever a trial counts.';

CREATE DOMAIN number_or_infinity AS double precision CHECK (VALUE <> 'NaN');
COMMENT ON DOMAIN number_or_infinity IS 'Anything but NaN.';

CREATE DOMAIN token_role AS text CHECK (VALUE IN ('viewer', 'editor', 'admin'));
COMMENT ON DOMAIN token_role IS 'What the bearer of a token may do.';

CREATE TABLE setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE setting IS 'Secrets and constants of this database that every daemon shares; written once, never changed.';
COMMENT ON COLUMN setting.name IS 'What it is.';
COMMENT ON COLUMN setting.value IS 'Its value, in a form its user knows.';

CREATE TABLE project (
    name       object_name PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE project IS 'Tenants.  The project "default" always exists.';
COMMENT ON COLUMN project.name IS 'The name in addresses; a project is never renamed, so the name is the key.';
COMMENT ON COLUMN project.created_at IS 'When it was made.';

INSERT INTO project (name) VALUES ('default');

CREATE TABLE token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project    object_name REFERENCES project ON DELETE CASCADE,
    name       text NOT NULL,
    role       token_role NOT NULL,
    hash       text NOT NULL CONSTRAINT token_hash_check CHECK (hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX token_project_name_key ON token (coalesce(project, ''), name);
CREATE UNIQUE INDEX token_hash_key ON token (hash);
COMMENT ON TABLE token IS 'Access tokens of people and programs; goes with its project.';
COMMENT ON COLUMN token.id IS 'The key in addresses.';
COMMENT ON COLUMN token.project IS 'Where it is good; NULL: in every project.';
COMMENT ON COLUMN token.name IS 'What its owner calls it; one of a kind within the project.';
COMMENT ON COLUMN token.role IS 'What its bearer may do.';
COMMENT ON COLUMN token.hash IS 'SHA-256 of the token in lower-case hex; the token itself is never stored.';
COMMENT ON COLUMN token.created_at IS 'When it was made.';
