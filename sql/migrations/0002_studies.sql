-- Studies.

CREATE DOMAIN study_state AS text CHECK (VALUE IN (
    'running', 'paused', 'stopping', 'succeeded', 'failed', 'cancelled'));
COMMENT ON DOMAIN study_state IS 'Where a study is; schemas/states.yaml.';

CREATE DOMAIN study_reason AS text CHECK (VALUE IN (
    'trials_done', 'target_reached', 'space_exhausted', 'time_limit', 'gpu_hours_limit',
    'failed_trials_limit', 'all_trials_failed', 'suggestion_failed', 'cancelled_by_user'));
COMMENT ON DOMAIN study_reason IS 'Why a study is where it is; schemas/states.yaml.';

CREATE SEQUENCE study_id_sequence AS bigint;
COMMENT ON SEQUENCE study_id_sequence IS 'Keys of studies: given out before the study is written, never reused.';

CREATE TABLE study (
    id          bigint PRIMARY KEY,
    created_at  timestamptz NOT NULL,
    started_at  timestamptz,
    finished_at timestamptz,
    deleted_at  timestamptz,
    maximize    boolean NOT NULL,
    project     object_name NOT NULL REFERENCES project ON DELETE RESTRICT,
    name        object_name NOT NULL,
    state       study_state NOT NULL,
    reason      study_reason,
    message     text,
    metric      text NOT NULL,
    document    json_object NOT NULL
);
CREATE UNIQUE INDEX study_project_name_key ON study (project, name) WHERE deleted_at IS NULL;
CREATE INDEX study_created ON study (created_at, id);
CREATE INDEX study_deleted ON study (id) WHERE deleted_at IS NOT NULL;

COMMENT ON TABLE study IS 'One search: what was asked for and how far it is.';
COMMENT ON COLUMN study.id IS 'Key, from study_id_sequence.';
COMMENT ON COLUMN study.created_at IS 'When it was submitted.';
COMMENT ON COLUMN study.started_at IS 'When its first trial started; NULL: not yet.';
COMMENT ON COLUMN study.finished_at IS 'When it reached a final state; NULL: it lives.';
COMMENT ON COLUMN study.deleted_at IS 'When it was deleted; its name is free since, and what belongs to it goes in slices (assay_purge).';
COMMENT ON COLUMN study.maximize IS 'Goal of the first objective; false: minimize.';
COMMENT ON COLUMN study.project IS 'The tenant it belongs to; a project with studies can not be removed.';
COMMENT ON COLUMN study.name IS 'The name in addresses; one of a kind in its project among the studies not deleted.';
COMMENT ON COLUMN study.state IS 'Where it is.';
COMMENT ON COLUMN study.reason IS 'Why it is there; NULL: no reason is needed.';
COMMENT ON COLUMN study.message IS 'A sentence for people.';
COMMENT ON COLUMN study.metric IS 'Metric of the first objective: the one trial.value holds.';
COMMENT ON COLUMN study.document IS 'The normalised study file with the limits as they are now.';
