#!/usr/bin/env bash
# Makes the parties' folders for compose.yaml, on the machine that runs the
# containers, and has the authority admit them. Needs the signalbox program here.
#
#   deploy/compose/parties.sh make    before anything runs
#   deploy/compose/parties.sh admit   while the container authority runs
set -euo pipefail
umask 077
PARTIES=hosts
EXAMPLE=${EXAMPLE:-$(dirname "${BASH_SOURCE[0]}")/parties}
. "$(dirname "${BASH_SOURCE[0]}")/../example/parties.sh"

case ${1:-} in
make) make_parties ;;
admit) admit_parties ;; # over the officers' socket, which is in the authority's folder
*) fail "parties.sh: want make or admit" ;;
esac
