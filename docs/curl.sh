#!/bin/sh
# Everything with curl alone: submit a study without a `trial` section, take
# suggestions, report, complete, and read the best; then a study that Assay runs
# itself, watched with ?wait=.  Needs ASSAY_URL and ASSAY_TOKEN:
#
#   ASSAY_URL=$(cat DIR/url) ASSAY_TOKEN=$(cat DIR/token) sh docs/curl.sh
set -eu

studies="$ASSAY_URL/v1/projects/default/studies"
name="curl-$$"

# call METHOD PATH [BODY]: the answer's body; -f makes a refusal an error.
call() {
    curl -sS --fail-with-body -X "$1" "$studies$2" \
        -H "Authorization: Bearer $ASSAY_TOKEN" \
        -H "Content-Type: application/json" ${3:+-d "$3"}
}

# field NAME: the first value of that member in the JSON on standard input.
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }

# --- 1. ask and tell: minimise (x - 2)^2 + (y + 1)^2 with this script as the worker
call POST "" '{
  "name": "'"$name"'",
  "objective": {"metric": "loss", "goal": "minimize"},
  "parameters": [
    {"name": "x", "type": "double", "min": -5, "max": 5},
    {"name": "y", "type": "double", "min": -5, "max": 5}],
  "limits": {"trials": 20},
  "seed": 1
}' >/dev/null

while :; do
    trial=$(call POST "/$name/suggestions" '{"count": 1, "client": "curl"}')
    number=$(printf '%s' "$trial" | field number)
    [ -n "$number" ] || break # no trial: the study has all it asked for
    x=$(printf '%s' "$trial" | field x)
    y=$(printf '%s' "$trial" | field y)

    # Two measurements on the way (a real job would report each epoch) ...
    for step in 1 2; do
        value=$(awk "BEGIN { print (($x - 2)^2 + ($y + 1)^2) * (1 + 1 / $step) }")
        call POST "/$name/trials/$number/measurements" \
            '{"measurements": [{"step": '"$step"', "metrics": {"loss": '"$value"'}}]}' >/dev/null
    done
    # ... and the final value.
    value=$(awk "BEGIN { print ($x - 2)^2 + ($y + 1)^2 }")
    call POST "/$name/trials/$number/complete" \
        '{"state": "succeeded", "metrics": {"loss": '"$value"'}}' >/dev/null
done

# ?until=final with ?wait= holds the answer until the study has ended.
call GET "/$name?wait=30s&until=final&fields=state,reason"
call GET "/$name/best"

# --- 2. trials that Assay runs: a process each, metrics read from its output
call POST "" '{
  "name": "'"$name-run"'",
  "objective": {"metric": "loss", "goal": "minimize"},
  "parameters": [{"name": "x", "type": "double", "min": -5, "max": 5}],
  "limits": {"trials": 6, "parallel": 2},
  "trial": {"command": ["awk", "BEGIN { print \"loss=\" (${x} - 2)^2 }"]}
}' >/dev/null

state=running
while [ "$state" = running ]; do
    state=$(call GET "/$name-run?wait=30s&until=final&fields=state" | field state)
done
call GET "/$name-run/best"
