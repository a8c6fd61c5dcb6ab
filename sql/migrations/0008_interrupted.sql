-- An attempt that is ended for the pause of its study: the intent outlives the daemon.

ALTER TABLE attempt ADD COLUMN interrupted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN attempt.interrupted IS 'It is to end, and its trial to be queued again, however it ends.';
