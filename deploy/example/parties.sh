# Two platforms in two regions under one authority: names, addresses, folders.
# Sourced by the other scripts; it runs nothing by itself.
#
#   authority ── node-north ── platform-north ── ledger-north
#            └── node-south ── platform-south ── ledger-south
#
# What may be set before:
#   SIGNALBOX   the program; default: signalbox on the PATH, else ../../bin/signalbox
#   EXAMPLE     the folder in which every party has its own; default: ./data/example
#   PORTS       first of the 20 ports that are used; default: 17400
#   SUITE       gm or intl; default: gm
#   PARTIES     loopback (default): everybody on 127.0.0.1, on ports of PORTS
#               hosts: everybody on a host of its own name, as in deploy/compose

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${SIGNALBOX:-}" ]; then
  SIGNALBOX=$(command -v signalbox || echo "$here/../../bin/signalbox")
fi
EXAMPLE=$(realpath -m "${EXAMPLE:-data/example}")
PORTS=${PORTS:-17400}
SUITE=${SUITE:-gm}
PARTIES=${PARTIES:-loopback}

regions=(north south)
business=prescription

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# place REGION gives the region's place among the ports.
place() {
  case $1 in
  north) echo 1 ;;
  south) echo 2 ;;
  esac
}

# port NAME [REGION]
port() {
  case $1 in
  authority.ops) echo "$PORTS" ;;
  node) echo $((PORTS + 5 * $(place "$2"))) ;;
  node.ops) echo $((PORTS + 5 * $(place "$2") + 1)) ;;
  ledger) echo $((PORTS + 5 * $(place "$2") + 2)) ;;
  api) echo $((PORTS + 5 * $(place "$2") + 3)) ;;
  platform.ops) echo $((PORTS + 5 * $(place "$2") + 4)) ;;
  ledger.ops) echo $((PORTS + 15 + $(place "$2"))) ;;
  esac
}

# dial and listen NAME [REGION] give an address: where others reach it, and where
# it listens itself. Hosts have ports of their own, so there they are the usual ones.
dial() {
  case $PARTIES/$1 in
  loopback/*) echo "127.0.0.1:$(port "$@")" ;;
  hosts/node) echo "node-$2:4222" ;;
  hosts/ledger) echo "ledger-$2:7400" ;;
  *) listen "$@" ;;
  esac
}

listen() {
  case $PARTIES/$1 in
  loopback/*) echo "127.0.0.1:$(port "$@")" ;;
  hosts/node) echo 0.0.0.0:4222 ;;
  hosts/ledger) echo 0.0.0.0:7400 ;;
  hosts/api) echo 127.0.0.1:8080 ;;
  hosts/*) echo 127.0.0.1:9100 ;;
  esac
}

# field NAME reads one text out of the JSON object on standard input.
field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }

signalbox() { "$SIGNALBOX" --lang en "$@"; }

# make_parties makes every folder that is not there. In real life each of these
# commands runs on another machine, at another organisation, and only request
# files, pins, the authority's file and admission files travel.
make_parties() {
  mkdir -p "$EXAMPLE/made"
  chmod 700 "$EXAMPLE" "$EXAMPLE/made"
  local region node_flags=()
  for region in "${regions[@]}"; do
    node_flags+=(--node "node-$region=$(dial node "$region")=rx-platform-$region/$business")
  done
  made officer-1 init officer rx-officer-1 --suite "$SUITE"
  made authority init authority --suite "$SUITE" --network rx-network-north --network rx-network-south --trial \
    --officer "$EXAMPLE/officer-1/request.pem" "${node_flags[@]}" --ops "$(listen authority.ops)"
  for region in "${regions[@]}"; do make_region "$region"; done
}

make_region() {
  local region=$1 host=()
  if [ "$PARTIES" = hosts ]; then host=(--host "node-$region"); fi
  made "node-$region" init fusion "node-$region" --suite "$SUITE" --listen "$(listen node "$region")" "${host[@]}" \
    --route "rx-platform-$region/$business" --ops "$(listen node.ops "$region")"
  made "platform-$region" init platform "rx-platform-$region" --suite "$SUITE" --network "rx-network-$region" --trial \
    --node "node-$region=$(dial node "$region")=$business" --ledger "$(dial ledger "$region")" \
    --api "$(listen api "$region")" --ops "$(listen platform.ops "$region")"
  made "ledger-$region" init ledger --network "rx-network-$region" --authority "$EXAMPLE/authority/authority.json" \
    --platform "rx-platform-$region=$(pin "platform-$region")" --listen "$(listen ledger "$region")" \
    --ops "$(listen ledger.ops "$region")"
  # Each side has the other's pin; the platform gets the chain's once that is made.
  local file=$EXAMPLE/platform-$region/platform.yaml
  sed -i 's/^  pin: ""$/  pin: "'"$(pin "ledger-$region")"'"/' "$file"
}

# made NAME COMMAND... makes a party's folder, and keeps what was printed.
made() {
  local name=$1
  shift
  if [ -e "$EXAMPLE/$name" ]; then return; fi
  signalbox "$@" --dir "$EXAMPLE/$name" --json >"$EXAMPLE/made/$name.json"
  say "made $name"
}

# pin NAME is the pin that the party's init printed.
pin() { field pin <"$EXAMPLE/made/$1.json"; }

# admit_parties has the authority's officer admit everybody. The authority runs.
admit_parties() {
  local region name
  for region in "${regions[@]}"; do
    for name in "node-$region" "platform-$region"; do
      if [ -e "$EXAMPLE/$name/admission.json" ]; then continue; fi
      local requests=("$EXAMPLE/$name/request.pem")
      if [ -d "$EXAMPLE/$name/trial" ]; then requests+=("$EXAMPLE/$name"/trial/*/request.pem); fi
      signalbox authority admit "${requests[@]}" --data "$EXAMPLE/authority" --keys "$EXAMPLE/officer-1" \
        --reason "example" --out "$EXAMPLE/$name/admission.json" --json >"$EXAMPLE/made/$name.admitted.json"
      same_authority "$name"
      say "admitted $name"
    done
  done
}

# same_authority is what every party does with its admission file: the authority
# that is named there must be the one whose fingerprint was read out to it.
same_authority() {
  local got want
  got=$(field authority_fingerprint <"$EXAMPLE/made/$1.admitted.json")
  want=$(field authority_fingerprint <"$EXAMPLE/made/authority.json")
  if [ -z "$want" ] || [ "$got" != "$want" ]; then fail "$1: the admission file names another authority"; fi
}
