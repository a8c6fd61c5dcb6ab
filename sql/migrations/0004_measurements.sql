-- Measurements: the table that grows.

CREATE TABLE metric (
    study_id bigint NOT NULL REFERENCES study ON DELETE RESTRICT,
    id       smallint NOT NULL,
    name     text NOT NULL CONSTRAINT metric_name_check CHECK (octet_length(name) BETWEEN 1 AND 255),
    PRIMARY KEY (study_id, id),
    CONSTRAINT metric_study_id_name_key UNIQUE (study_id, name)
);
COMMENT ON TABLE metric IS 'Names of the metrics of a study, so that a measurement carries two bytes and no text.';
COMMENT ON COLUMN metric.study_id IS 'The study.';
COMMENT ON COLUMN metric.id IS 'Small number given by the engine; never reused.';
COMMENT ON COLUMN metric.name IS 'As the trial reports it.';

-- 64 bytes a row with its header: the columns are ordered so that no padding
-- arises, and a study_id of four bytes would save nothing.  The key's order makes
-- a curve one range of the index.  No foreign key: the check per row would cost
-- more than the row; the statement that writes asks for the trial once per call,
-- and assay_purge removes.
CREATE TABLE measurement (
    study_id    bigint NOT NULL,
    step        step NOT NULL,
    measured_at timestamptz NOT NULL,
    value       double precision NOT NULL,
    trial       integer NOT NULL,
    metric      smallint NOT NULL,
    PRIMARY KEY (study_id, trial, metric, step)
);
COMMENT ON TABLE measurement IS 'Values of metrics at steps of a trial; the last value of a step holds.';
COMMENT ON COLUMN measurement.study_id IS 'The study of the trial.';
COMMENT ON COLUMN measurement.step IS 'When in the trial''s own count.';
COMMENT ON COLUMN measurement.measured_at IS 'When it was measured.';
COMMENT ON COLUMN measurement.value IS 'The value; NaN and infinities are stored as what they are.';
COMMENT ON COLUMN measurement.trial IS 'Number of the trial.';
COMMENT ON COLUMN measurement.metric IS 'metric.id within the study.';

CREATE TABLE curve_segment (
    study_id    bigint NOT NULL,
    after_step  bigint NOT NULL,
    first_step  bigint NOT NULL,
    last_step   bigint NOT NULL,
    min_step    bigint,
    max_step    bigint,
    first_value double precision NOT NULL,
    last_value  double precision NOT NULL,
    min_value   double precision,
    max_value   double precision,
    trial       integer NOT NULL,
    metric      smallint NOT NULL,
    PRIMARY KEY (study_id, trial, metric, last_step)
);
COMMENT ON TABLE curve_segment IS 'A cache: 128 consecutive points of a curve summed up, so that a long curve is drawn without reading it.  Every row may be deleted at any time; its points are then read themselves.';
COMMENT ON COLUMN curve_segment.study_id IS 'The study of the trial.';
COMMENT ON COLUMN curve_segment.after_step IS 'The row covers the steps above this one (the last of the segment before it; -1: from the start) …';
COMMENT ON COLUMN curve_segment.last_step IS '… up to this one, which is its last point.';
COMMENT ON COLUMN curve_segment.first_step IS 'Its first point.';
COMMENT ON COLUMN curve_segment.min_step IS 'Its lowest point; NULL: every value is NaN.';
COMMENT ON COLUMN curve_segment.max_step IS 'Its highest point; NULL: every value is NaN.';
COMMENT ON COLUMN curve_segment.first_value IS 'Value at first_step.';
COMMENT ON COLUMN curve_segment.last_value IS 'Value at last_step.';
COMMENT ON COLUMN curve_segment.min_value IS 'Value at min_step.';
COMMENT ON COLUMN curve_segment.max_value IS 'Value at max_step.';
COMMENT ON COLUMN curve_segment.trial IS 'Number of the trial.';
COMMENT ON COLUMN curve_segment.metric IS 'metric.id within the study.';
