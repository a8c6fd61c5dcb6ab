-- Trials and their attempts.

CREATE DOMAIN trial_state AS text CHECK (VALUE IN (
    'queued', 'running', 'paused', 'stopping',
    'succeeded', 'stopped', 'infeasible', 'failed', 'cancelled'));
COMMENT ON DOMAIN trial_state IS 'Where a trial is; schemas/states.yaml.';

CREATE DOMAIN trial_reason AS text CHECK (VALUE IN (
    'exit_code', 'signal', 'timeout', 'out_of_memory', 'start_failed', 'no_objective',
    'non_finite_objective', 'lease_expired', 'runner_lost', 'stopped_by_rule', 'stopped_by_user',
    'study_cancelled', 'study_finished', 'reported_by_client'));
COMMENT ON DOMAIN trial_reason IS 'Why a trial or an attempt is where it is; schemas/states.yaml.';

CREATE DOMAIN attempt_state AS text CHECK (VALUE IN ('starting', 'running', 'exited', 'lost'));
COMMENT ON DOMAIN attempt_state IS 'Where an attempt is; schemas/states.yaml.';

CREATE TABLE trial (
    study_id         bigint NOT NULL REFERENCES study ON DELETE RESTRICT,
    last_step        step,
    value            number_or_infinity,
    budget           number_or_infinity,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz,
    lease_expires_at timestamptz,
    number           ordinal NOT NULL,
    feasible         boolean NOT NULL,
    state            trial_state NOT NULL,
    reason           trial_reason,
    message          text,
    client           text,
    parameters       json_object NOT NULL,
    metrics          json_object NOT NULL,
    why              json_object NOT NULL,
    PRIMARY KEY (study_id, number)
) WITH (fillfactor = 80);
CREATE INDEX trial_state ON trial (study_id, state);
CREATE INDEX trial_best ON trial (study_id, value, number)
    WHERE feasible AND state IN ('succeeded', 'stopped')
      AND value > '-Infinity' AND value < 'Infinity';

COMMENT ON TABLE trial IS 'One point of the space and what became of it.  Room is left on each page so that renewed leases touch no index.';
COMMENT ON COLUMN trial.study_id IS 'The study; with the number the key.';
COMMENT ON COLUMN trial.last_step IS 'Last step measured; NULL: none.';
COMMENT ON COLUMN trial.value IS 'The first objective; NULL: none, never NaN.';
COMMENT ON COLUMN trial.budget IS 'Budget given to it; NULL: the study has none.';
COMMENT ON COLUMN trial.created_at IS 'When it was proposed.';
COMMENT ON COLUMN trial.started_at IS 'When its first attempt started or a worker took it.';
COMMENT ON COLUMN trial.finished_at IS 'When it reached a final state.';
COMMENT ON COLUMN trial.lease_expires_at IS 'Until when its worker may be silent; NULL: no lease.';
COMMENT ON COLUMN trial.number IS '1, 2, … within the study.';
COMMENT ON COLUMN trial.feasible IS 'Whether the constraints hold, so that it may become the best.';
COMMENT ON COLUMN trial.state IS 'Where it is.';
COMMENT ON COLUMN trial.reason IS 'Why it is there.';
COMMENT ON COLUMN trial.message IS 'A sentence for people.';
COMMENT ON COLUMN trial.client IS 'The ask/tell worker that holds it; NULL: none.';
COMMENT ON COLUMN trial.parameters IS 'Values of its active parameters by name.';
COMMENT ON COLUMN trial.metrics IS 'Final values by metric name; nan, inf and -inf as strings.';
COMMENT ON COLUMN trial.why IS 'What proposed it and, if it was stopped, the rule and its figures.';

CREATE TABLE attempt (
    study_id    bigint NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    pid         bigint,
    trial       ordinal NOT NULL,
    number      ordinal NOT NULL,
    exit_code   integer,
    signal      integer,
    state       attempt_state NOT NULL,
    reason      trial_reason,
    message     text,
    gpus        json_array,
    PRIMARY KEY (study_id, trial, number),
    FOREIGN KEY (study_id, trial) REFERENCES trial ON DELETE RESTRICT
);

COMMENT ON TABLE attempt IS 'One execution of a trial.';
COMMENT ON COLUMN attempt.study_id IS 'The study of the trial.';
COMMENT ON COLUMN attempt.started_at IS 'When it was decided.';
COMMENT ON COLUMN attempt.finished_at IS 'When it ended; NULL: it lives.';
COMMENT ON COLUMN attempt.pid IS 'Process of its runner; NULL: not started.';
COMMENT ON COLUMN attempt.trial IS 'Number of the trial.';
COMMENT ON COLUMN attempt.number IS '1, 2, … within the trial.';
COMMENT ON COLUMN attempt.exit_code IS 'Exit code of the command; NULL: none.';
COMMENT ON COLUMN attempt.signal IS 'Signal that ended the command; NULL: none.';
COMMENT ON COLUMN attempt.state IS 'Where it is.';
COMMENT ON COLUMN attempt.reason IS 'Why it ended badly.';
COMMENT ON COLUMN attempt.message IS 'A sentence for people.';
COMMENT ON COLUMN attempt.gpus IS 'Names of the devices it was given; NULL: none.';

-- A final trial never changes again, whoever asks.  Asked in the function, as a
-- WHEN of the trigger would be read from its stored text for every statement.
CREATE FUNCTION assay_trial_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('succeeded', 'stopped', 'infeasible', 'failed', 'cancelled') THEN
        RAISE EXCEPTION USING ERRCODE = 'AS409',
            MESSAGE = format('trial %s has ended as %s and can not change', OLD.number, OLD.state);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION assay_trial_is_final() IS 'Refuses an update of a final trial.';
CREATE TRIGGER trial_final BEFORE UPDATE ON trial FOR EACH ROW
    EXECUTE FUNCTION assay_trial_is_final();

-- Compare-and-set statements call these when no row was in the expected state:
-- an error is what makes the transaction of the whole set fail in a pipeline.
CREATE FUNCTION assay_study_conflict(wanted_id bigint, expected text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found study%ROWTYPE;
BEGIN
    SELECT * INTO found FROM study WHERE id = wanted_id AND deleted_at IS NULL;
    IF found.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'AS404', MESSAGE = 'the study does not exist';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'AS409',
        MESSAGE = format('study "%s" is %s, not %s', found.name, found.state, expected);
END $$;
COMMENT ON FUNCTION assay_study_conflict(bigint, text) IS 'Fails with what is wrong about the study.';

CREATE FUNCTION assay_trial_conflict(wanted_study bigint, wanted_number bigint, expected text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_state text;
BEGIN
    SELECT state INTO found_state FROM trial WHERE study_id = wanted_study AND number = wanted_number;
    IF found_state IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'AS404',
            MESSAGE = format('there is no trial %s', wanted_number);
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'AS409',
        MESSAGE = format('trial %s is %s, not %s', wanted_number, found_state, expected);
END $$;
COMMENT ON FUNCTION assay_trial_conflict(bigint, bigint, text) IS 'Fails with what is wrong about the trial.';
