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

CREATE TABLE setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE setting IS 'Secrets and constants of this database that every daemon shares; written once, never changed.';
COMMENT ON COLUMN setting.name IS 'What it is.';
COMMENT ON COLUMN setting.value IS 'Its value, in a form its user knows.';

CREATE TABLE project (
    name       text COLLATE "C" PRIMARY KEY
               CONSTRAINT project_name_check CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE project IS 'Tenants.  The project "default" always exists.';
COMMENT ON COLUMN project.name IS 'The name in addresses; a project is never renamed, so the name is the key.';
COMMENT ON COLUMN project.created_at IS 'When it was made.';

INSERT INTO project (name) VALUES ('default');

CREATE TABLE token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project    text COLLATE "C" REFERENCES project ON DELETE CASCADE,
    name       text NOT NULL,
    role       text NOT NULL CONSTRAINT token_role_check CHECK (role IN ('viewer', 'editor', 'admin')),
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
