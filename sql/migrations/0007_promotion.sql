-- A paused trial of a multi-fidelity study that nobody promoted ends as stopped.

ALTER DOMAIN trial_reason DROP CONSTRAINT trial_reason_check;
ALTER DOMAIN trial_reason ADD CONSTRAINT trial_reason_check CHECK (VALUE IN (
    'exit_code', 'signal', 'timeout', 'out_of_memory', 'start_failed', 'no_objective',
    'non_finite_objective', 'lease_expired', 'runner_lost', 'stopped_by_rule', 'stopped_by_user',
    'study_cancelled', 'study_finished', 'reported_by_client', 'not_promoted'));
