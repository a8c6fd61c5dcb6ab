-- Events, remembered answers, the writer's mark, and the removal of deleted studies.

CREATE DOMAIN event_type AS text CHECK (octet_length(VALUE) BETWEEN 1 AND 63);
COMMENT ON DOMAIN event_type IS 'What happened, for programs.';

CREATE TABLE event (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    study_id    bigint NOT NULL REFERENCES study ON DELETE RESTRICT,
    occurred_at timestamptz NOT NULL,
    trial       integer,
    type        event_type NOT NULL,
    message     text,
    data        json_object,
    PRIMARY KEY (study_id, id)
);
COMMENT ON TABLE event IS 'What happened, in commit order; appended to and never changed.';
COMMENT ON COLUMN event.id IS 'Increasing in commit order, as one connection writes; with gaps.';
COMMENT ON COLUMN event.study_id IS 'The study it is about.';
COMMENT ON COLUMN event.occurred_at IS 'When it happened.';
COMMENT ON COLUMN event.trial IS 'Number of the trial; NULL: about the study.';
COMMENT ON COLUMN event.type IS 'What happened, for programs.';
COMMENT ON COLUMN event.message IS 'What happened, for people.';
COMMENT ON COLUMN event.data IS 'Details; NULL: none.';

CREATE FUNCTION assay_event_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'AS409', MESSAGE = 'events are never changed';
END $$;
COMMENT ON FUNCTION assay_event_is_final() IS 'Refuses an update of an event.';
CREATE TRIGGER event_final BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION assay_event_is_final();

CREATE TABLE idempotency (
    project      object_name NOT NULL REFERENCES project ON DELETE CASCADE,
    key          text NOT NULL,
    request_hash text NOT NULL,
    http_status  integer NOT NULL,
    answer       json NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);
COMMENT ON TABLE idempotency IS 'Answers given to requests that carried an Idempotency-Key; expire.';
COMMENT ON COLUMN idempotency.project IS 'Keys of different projects do not meet.';
COMMENT ON COLUMN idempotency.key IS 'As the client sent it.';
COMMENT ON COLUMN idempotency.request_hash IS 'Tells the same request from another one under the same key.';
COMMENT ON COLUMN idempotency.http_status IS 'Status of the answer.';
COMMENT ON COLUMN idempotency.answer IS 'Body of the answer.';
COMMENT ON COLUMN idempotency.created_at IS 'When it was given.';

CREATE TABLE writer (
    id           bigint PRIMARY KEY,
    batch        bigint NOT NULL,
    application  text NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);
COMMENT ON TABLE writer IS 'One row for each writer that worked lately: the last batch it committed.  Tells after a lost connection whether the batch is there.  The page stays nearly empty so that updates stay on it.';
COMMENT ON COLUMN writer.id IS 'Drawn at random when the writer starts.';
COMMENT ON COLUMN writer.batch IS 'Number of its last batch.';
COMMENT ON COLUMN writer.application IS 'The writer''s application_name.';
COMMENT ON COLUMN writer.committed_at IS 'When that batch began.';

-- Removes at most about `slice` rows of a deleted study, children first, and
-- gives their number; 0: nothing is left to remove.
CREATE FUNCTION assay_purge(slice integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    doomed bigint;
    gone bigint;
BEGIN
    SELECT id INTO doomed FROM study WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 1;
    IF doomed IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM measurement WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM measurement WHERE study_id = doomed LIMIT slice));
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN RETURN gone; END IF;
    DELETE FROM curve_segment WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM curve_segment WHERE study_id = doomed LIMIT slice));
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN RETURN gone; END IF;
    DELETE FROM event WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM event WHERE study_id = doomed LIMIT slice));
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN RETURN gone; END IF;
    DELETE FROM attempt WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM attempt WHERE study_id = doomed LIMIT slice));
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN RETURN gone; END IF;
    DELETE FROM trial WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM trial WHERE study_id = doomed LIMIT slice));
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN RETURN gone; END IF;
    DELETE FROM metric WHERE study_id = doomed;
    DELETE FROM study WHERE id = doomed;
    RETURN 1;
END $$;
COMMENT ON FUNCTION assay_purge(integer) IS 'Removes a slice of what belongs to a deleted study; gives how many rows.';
