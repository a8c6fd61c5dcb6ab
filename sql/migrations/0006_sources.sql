-- What a study took over from earlier ones when it was submitted (warm_start).

CREATE TABLE study_source (
    study_id bigint PRIMARY KEY REFERENCES study ON DELETE RESTRICT,
    sources  json_array NOT NULL
);
COMMENT ON TABLE study_source IS 'Trials of earlier studies in the space of this one, as its algorithm is told them; a copy, so that nothing that happens to those studies changes a suggestion.';
COMMENT ON COLUMN study_source.study_id IS 'The study that learns from them.';
COMMENT ON COLUMN study_source.sources IS 'Name and trials of each study; json, not jsonb, to keep the text of numbers.';

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
    DELETE FROM study WHERE id = doomed;
    RETURN 1;
END $$;
