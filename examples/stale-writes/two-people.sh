#!/bin/bash
# Two people change one network at the same time: what each is answered, what is merged, and what a person decides.
# It makes a project of its own, and leaves it for you to look at.
#
#   scripts/up && eval "$(bun sluice lab env | sed 's/^/export /')" && examples/stale-writes/two-people.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

project=two-people-$RANDOM
sluice() { bun cli/main.ts "$@"; }
# The status, then the body.
ask() { # method path body [header…]
  local method=$1 path=$2 body=$3 headers=(); shift 3
  for header in "$@"; do headers+=(--header "$header"); done
  curl --silent --show-error --request "$method" --header "Authorization: Bearer $SLUICE_TOKEN" \
    --header 'Content-Type: application/json' "${headers[@]}" --data "$body" --write-out '\n%{http_code}' \
    "$SLUICE_ADDR$path" >"$answer"
  echo "$(tail -n 1 "$answer") $(head -n -1 "$answer")"
}
told() { sed 's/^[0-9]* //' <<<"$1" | jq --raw-output "$2"; }
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

project_id=$(sluice project create "$project" --user ann --json | jq --raw-output .id)
made=$(ask POST /v1/networks "{\"name\": \"web\", \"projectId\": \"$project_id\"}" 'Idempotency-Key: make-web')
again=$(ask POST /v1/networks "{\"name\": \"web\", \"projectId\": \"$project_id\"}" 'Idempotency-Key: make-web')
network=$(told "$made" .id)
echo "asked twice with one Idempotency-Key: ${made%% *}, and the same network again: $([ "$network" = "$(told "$again" .id)" ] && echo yes)"

# Ann has looked at version 1. Bob changes the name before she writes.
renamed=$(ask PATCH "/v1/networks/$network" '{"name": "shop"}')
echo "Bob's change: ${renamed%% *}, version $(told "$renamed" .version)"

strict=$(ask PATCH "/v1/networks/$network" '{"addressPolicy": {"quarantineSeconds": 60}}' 'If-Match: "1"')
echo "Ann, with If-Match: ${strict%% *} $(told "$strict" .code), nothing is changed"

merged=$(ask PATCH "/v1/networks/$network?currentVersion=1" '{"addressPolicy": {"quarantineSeconds": 60}}')
echo "Ann, with currentVersion, another field: ${merged%% *}, and Bob's name stays: $(told "$merged" .name)"

clash=$(ask PATCH "/v1/networks/$network?currentVersion=1" '{"name": "front"}')
escalation=$(told "$clash" .escalationId)
echo "Ann, with currentVersion, the same field: ${clash%% *} $(told "$clash" .code)"
sluice escalation show "$escalation"

# Somebody decides for Ann's name.
sluice escalation retry "$escalation" >/dev/null
sluice history network front --project "$project"
