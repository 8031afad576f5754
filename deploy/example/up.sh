#!/usr/bin/env bash
# Starts one authority, two fusion nodes, two platforms and their business chains
# on loopback, plays prescriptions into both platforms and checks the receipts.
# Run it again as often as you like: what is there is kept, what runs is left alone.
#
#   deploy/example/up.sh            start, play, check
#   deploy/example/up.sh --no-play  start
#
# down.sh ends it. parties.sh says what may be set, and what is made.
set -euo pipefail
umask 077
. "$(dirname "${BASH_SOURCE[0]}")/parties.sh"

play=yes
for arg in "$@"; do
  case $arg in
  --no-play) play= ;;
  *) fail "up.sh: unknown argument $arg" ;;
  esac
done
[ -x "$SIGNALBOX" ] || fail "no program at $SIGNALBOX: make build, or set SIGNALBOX"
command -v curl >/dev/null || fail "curl is needed"

run=$EXAMPLE/run

# alive NAME says whether the party runs that an earlier call started.
alive() {
  local pid
  pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && grep -qa "$EXAMPLE/$1/" "/proc/$pid/cmdline" 2>/dev/null
}

# start NAME ROLE OPS starts a party.
start() {
  local name=$1 role=$2
  if alive "$name"; then return; fi
  # A session of its own: what ends this script's terminal does not end it.
  setsid "$SIGNALBOX" "$role" run --config "$EXAMPLE/$name/$role.yaml" >>"$run/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}

# ready NAME OPS waits until the party says that it does its work.
ready() {
  local name=$1 ops=$2 i
  for i in $(seq 300); do
    if curl -sf -o /dev/null "http://$ops/readyz"; then
      say "ready: $name"
      return
    fi
    alive "$name" || break
    sleep 0.2
  done
  say "not ready: $name: $(curl -s "http://$ops/readyz" || true)"
  tail -n 20 "$run/$name.log" >&2
  exit 1
}


# officers waits until the authority takes orders: it does so before its nodes are there.
officers() {
  local i
  for i in $(seq 300); do
    if signalbox authority status --data "$EXAMPLE/authority" --json >/dev/null 2>&1; then return; fi
    alive authority || break
    sleep 0.2
  done
  tail -n 20 "$run/authority.log" >&2
  fail "the authority takes no orders"
}

# follow API RECORD registers a record and follows it to its end; it prints the flow.
follow() {
  local api=$1 record=$2 at kind=application/json
  case ${record##*/} in fhir-*) kind=application/fhir+json ;; esac
  at=$(curl -sS --fail-with-body -o "$run/answer.json" -w '%header{location}' "http://$api/api/v1/records" \
    -H "Content-Type: $kind" -H 'Prefer: wait=30' --data-binary "@$record") || {
    cat "$run/answer.json" >&2
    fail "$record was not taken"
  }
  curl -sS --fail-with-body -H 'Prefer: wait=60' "http://$api$at?until=final"
}

# receipts API FLOW fetches and checks the receipt of every decision of the flow,
# with the authority's keys as the authority gave them, not the platform.
receipts() {
  local api=$1 dir=$2 tx files=()
  mkdir -p "$dir"
  for tx in $(grep -o '"tx":"[0-9a-f]*"' "$dir/flow.json" | cut -d'"' -f4 | sort -u); do
    curl -sSf -o "$dir/$tx.tlog-proof" "http://$api/api/v1/receipts/$tx"
    files+=("$dir/$tx.tlog-proof")
  done
  [ "${#files[@]}" -ge 6 ] || fail "only ${#files[@]} receipts for a flow of six steps: $dir/flow.json"
  signalbox verify --keys "$EXAMPLE/authority/authority.pub" "${files[@]}" >"$dir/verified.txt"
}

# play_region REGION plays two records from registration to delivery.
play_region() {
  local region=$1 name dir names
  # Not the same ones: the authority knows a record again, also from another platform.
  case $region in
  north) names=(respiratory-antibiotic hypertension-chronic) ;;
  south) names=(diabetes-community-chronic fhir-request-statin) ;;
  esac
  for name in "${names[@]}"; do
    dir=$EXAMPLE/played/$region/$name
    mkdir -p "$dir"
    follow "$(dial api "$region")" "$here/../../profile/prescription/samples/$name.json" >"$dir/flow.json"
    grep -q '"state":"delivered"' "$dir/flow.json" || fail "$region: $name was not delivered: $(cat "$dir/flow.json")"
    receipts "$(dial api "$region")" "$dir"
    say "$region: $name is delivered, $(find "$dir" -name '*.tlog-proof' | wc -l) receipts hold"
  done
}

make_parties
mkdir -p "$run"

start authority authority
officers
admit_parties
for region in "${regions[@]}"; do
  start "node-$region" fusion
  start "ledger-$region" ledger
done
for region in "${regions[@]}"; do
  ready "node-$region" "$(dial node.ops "$region")"
  ready "ledger-$region" "$(dial ledger.ops "$region")"
  start "platform-$region" platform
done
ready authority "$(dial authority.ops)"
for region in "${regions[@]}"; do ready "platform-$region" "$(dial platform.ops "$region")"; done

if [ -n "$play" ]; then
  for region in "${regions[@]}"; do play_region "$region"; done
fi
for region in "${regions[@]}"; do say "platform-$region: http://$(dial api "$region")"; done
say "down.sh ends it; everything is in $EXAMPLE"
