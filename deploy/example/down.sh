#!/usr/bin/env bash
# Ends what up.sh has started, and nothing else: platforms first, the authority
# last. Folders stay; up.sh goes on with them. --purge removes them as well.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/parties.sh"

run=$EXAMPLE/run

# stop NAME ends a party, if the process of that number is still the one.
stop() {
  local name=$1 pid i
  pid=$(cat "$run/$name.pid" 2>/dev/null) || return 0
  if [ -n "$pid" ] && grep -qa "$EXAMPLE/$name/" "/proc/$pid/cmdline" 2>/dev/null; then
    kill -TERM "$pid" 2>/dev/null || true
    for i in $(seq 200); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
      say "$name did not stop within 20 s: killing it"
      kill -KILL "$pid" 2>/dev/null || true
    fi
    say "stopped $name"
  fi
  rm -f "$run/$name.pid"
}

for name in platform-north platform-south ledger-north ledger-south node-north node-south authority; do stop "$name"; done
case ${1:-} in
"") ;;
--purge)
  # Only what make_parties and up.sh have made.
  for name in authority officer-1 made run played {node,platform,ledger}-{north,south}; do rm -rf "${EXAMPLE:?}/$name"; done
  rmdir "$EXAMPLE" 2>/dev/null || true
  say "removed what was in $EXAMPLE"
  ;;
*) fail "down.sh: unknown argument $1" ;;
esac
