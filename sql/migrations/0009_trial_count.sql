-- How many trials of a study are in each state: kept by the writer with the changes
-- themselves, so that reading a study does not count its trials.

CREATE TABLE trial_count (
    study_id   bigint PRIMARY KEY REFERENCES study ON DELETE RESTRICT,
    queued     bigint NOT NULL DEFAULT 0,
    running    bigint NOT NULL DEFAULT 0,
    paused     bigint NOT NULL DEFAULT 0,
    stopping   bigint NOT NULL DEFAULT 0,
    succeeded  bigint NOT NULL DEFAULT 0,
    stopped    bigint NOT NULL DEFAULT 0,
    infeasible bigint NOT NULL DEFAULT 0,
    failed     bigint NOT NULL DEFAULT 0,
    cancelled  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON TABLE trial_count IS 'How many trials of each study are in each state of trial_state; every study has its row.  Half of a page stays free, as the same rows are written over and over.';
COMMENT ON COLUMN trial_count.study_id IS 'The study whose trials are counted.';
COMMENT ON COLUMN trial_count.queued IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.running IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.paused IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.stopping IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.succeeded IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.stopped IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.infeasible IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.failed IS 'Trials in this state.';
COMMENT ON COLUMN trial_count.cancelled IS 'Trials in this state.';

INSERT INTO trial_count
SELECT s.id,
       count(*) FILTER (WHERE t.state = 'queued'),
       count(*) FILTER (WHERE t.state = 'running'),
       count(*) FILTER (WHERE t.state = 'paused'),
       count(*) FILTER (WHERE t.state = 'stopping'),
       count(*) FILTER (WHERE t.state = 'succeeded'),
       count(*) FILTER (WHERE t.state = 'stopped'),
       count(*) FILTER (WHERE t.state = 'infeasible'),
       count(*) FILTER (WHERE t.state = 'failed'),
       count(*) FILTER (WHERE t.state = 'cancelled')
FROM study s LEFT JOIN trial t ON t.study_id = s.id
GROUP BY s.id;

CREATE OR REPLACE FUNCTION assay_purge(slice integer) RETURNS bigint LANGUAGE plpgsql AS $$
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
    DELETE FROM study_source WHERE study_id = doomed;
    DELETE FROM trial_count WHERE study_id = doomed;
    DELETE FROM study WHERE id = doomed;
    RETURN 1;
END $$;
