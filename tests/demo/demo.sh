#!/usr/bin/env bash
# Shows dotrelay at work on this machine alone: two real resolvers (unbound) that speak DNS over TLS on loopback, a
# throw-away certificate authority, the relay on port 12555, and `dig` asking it. Every step prints the command, the
# answer and what it proves, and is checked. Nothing is left behind: no process, no file.
#
# usage: demo.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
relay_port=12555
start_limit_seconds=10
concurrent=200

# Below build/ rather than /tmp, which may forbid running programs (unbound is copied, see start_resolver).
work=$(mktemp -d "$(dirname "$(dirname "$(dirname "$binary")")")/demo.XXXXXX")
declare -A process=()
proved=()
failures=0

stop() {
  local pid=${process[$1]:-}
  [ -n "$pid" ] || return 0
  unset "process[$1]"
  kill "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
}

clean_up() {
  local name
  for name in "${!process[@]}"; do stop "$name"; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

give_up() {
  echo "demo: $*" >&2
  exit 1
}

indent() { sed 's/^/    /'; }

# True if the relay's port is free, over UDP and TCP.
relay_port_is_free() {
  python3 - "$relay_port" <<'PYTHON'
import socket, sys
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(sys.argv[1])))
        except OSError:
            sys.exit(1)
PYTHON
}

# Prints two TCP ports that are free now.
two_free_ports() {
  python3 -c 'import socket
probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(probe.getsockname()[1] for probe in probes))'
}

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2)

make_authority() {
  openssl req -x509 "${new_key[@]}" -subj "/CN=dotrelay demo CA" -keyout "$work/ca.key" -out "$work/ca.pem" 2> /dev/null
}

make_certificate() {
  local name=$1
  openssl req "${new_key[@]}" -new -subj "/CN=$name" -keyout "$work/$name.key" -out "$work/$name.csr" 2> /dev/null
  openssl x509 -req -days 2 -in "$work/$name.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
    -extfile <(printf 'subjectAltName=DNS:%s\n' "$name") -out "$work/$name.pem" 2> /dev/null
}

# The data both resolvers hold, besides a record that says which of them answers.
zone_data() {
  local number
  echo '  local-data: "www.demo.example. 300 IN A 192.0.2.80"'
  echo '  local-data: "www.demo.example. 300 IN AAAA 2001:db8::80"'
  for number in $(seq -w 1 30); do
    echo "  local-data: 'big.demo.example. 300 IN TXT \"record $number of 30: all of them together do not fit in a UDP answer\"'"
  done
  for number in $(seq 1 "$concurrent"); do
    echo "  local-data: \"host-$number.demo.example. 300 IN A 192.0.2.$number\""
  done
}

# start_resolver NAME PORT: an unbound that answers from its own data only, over TLS only. It runs from a copy, because
# an AppArmor profile bound to /usr/sbin/unbound would not let it read a configuration outside /etc.
start_resolver() {
  local name=$1 port=$2
  cat > "$work/$name.conf" <<CONF
server:
  interface: 127.0.0.1@$port
  tls-port: $port
  tls-service-key: "$work/$name.key"
  tls-service-pem: "$work/$name.pem"
  do-daemonize: no
  do-ip6: no
  do-udp: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  directory: "$work"
  pidfile: ""
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  local-zone: "." refuse
  local-zone: "demo.example." static
  local-data: 'who.demo.example. 300 IN TXT "answered by $name"'
  local-data: 'who-now.demo.example. 300 IN TXT "answered by $name"'
$(zone_data)
remote-control:
  control-enable: no
CONF
  [ -x "$work/unbound" ] || cp "$(PATH=$PATH:/usr/sbin command -v unbound)" "$work/unbound"
  "$work/unbound" -d -c "$work/$name.conf" > "$work/$name.log" 2>&1 &
  process[$name]=$!
  # unbound says so on its log once it serves.
  wait_for_line "$name" "start of service" "$work/$name.log"
}

start_relay() {
  cat > "$work/dotrelay.toml" <<CONF
[listen]
addresses = ["127.0.0.1:$relay_port"]

[[upstream]]
name      = "first"
addresses = ["127.0.0.1:$first_port"]
tls_name  = "$first"
ca_file   = "$work/ca.pem"

[[upstream]]
name      = "second"
addresses = ["127.0.0.1:$second_port"]
tls_name  = "$second"
ca_file   = "$work/ca.pem"
CONF
  "$binary" --config "$work/dotrelay.toml" > "$work/relay.log" 2>&1 &
  process[relay]=$!
  wait_for_line relay "supervisor: ready" "$work/relay.log"
}

# wait_for_line PROCESS TEXT LOG
wait_for_line() {
  local tries=$((start_limit_seconds * 20))
  until grep -qs "$2" "$3"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "${process[$1]}" 2> /dev/null; then
      indent < "$3" >&2
      give_up "$1 did not start; its log is above"
    fi
    sleep 0.05
  done
}

# ask EXPECTED-PATTERN PROOF DIG-ARGUMENT...: runs dig against the relay, shows what matters of the answer, checks it.
ask() {
  local expected=$1 proof=$2 answer
  shift 2
  echo
  echo "\$ dig @127.0.0.1 -p $relay_port $*"
  answer=$(dig @127.0.0.1 -p "$relay_port" +tries=1 +time=6 "$@" 2>&1) || true
  # The status and flags, the records, the transport: the rest of dig's output says nothing here.
  answer=$(grep -E '^[^;]|^;; (->>HEADER|flags|SERVER|MSG SIZE|Truncated)|^;; [a-z]|communications error' <<< "$answer" |
    grep -v '^;; global' || true)
  if [ "$(wc -l <<< "$answer")" -gt 12 ]; then
    { head -n 4 <<< "$answer"; echo "... $(($(wc -l <<< "$answer") - 7)) lines more ..."; tail -n 3 <<< "$answer"; } | indent
  else
    indent <<< "$answer"
  fi
  judge "$proof" grep -qzE "$expected" <<< "$answer"
}

# judge PROOF COMMAND...: notes what the command's success proves.
judge() {
  local proof=$1
  shift
  if "$@"; then
    echo "  ok: $proof"
    proved+=("$proof")
  else
    echo "  NOT SHOWN: $proof"
    failures=$((failures + 1))
  fi
}

plain_dns_is_refused() {
  ! dig @127.0.0.1 -p "$first_port" +tcp +tries=1 +time=2 +short www.demo.example A 2>&1 | grep -q '192\.0\.2\.80'
}

# Starts all digs before it waits for any; each must bring the address that belongs to its name.
many_at_once() {
  local number pids=() right=0
  for number in $(seq 1 "$concurrent"); do
    dig @127.0.0.1 -p "$relay_port" +tries=1 +time=6 +short "host-$number.demo.example" A > "$work/answer.$number" 2>&1 &
    pids+=($!)
  done
  wait "${pids[@]}" || true
  for number in $(seq 1 "$concurrent"); do
    [ "$(cat "$work/answer.$number")" = "192.0.2.$number" ] && right=$((right + 1))
  done
  echo "    $right of $concurrent right"
  [ "$right" -eq "$concurrent" ]
}

relay_stops_cleanly() {
  local pid=${process[relay]} status=0
  unset 'process[relay]'
  kill -TERM "$pid"
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] && relay_port_is_free
}

relay_port_is_free ||
  give_up "port $relay_port on 127.0.0.1 is taken. Stop what uses it (another dotrelay?) and run this again."
first=first.resolver.test
second=second.resolver.test
read -r first_port second_port <<< "$(two_free_ports)"

echo "Making a throw-away certificate authority and a certificate for each of two resolvers."
make_authority
make_certificate "$first"
make_certificate "$second"
echo "Starting two unbound resolvers that speak DNS over TLS: $first (port $first_port), $second (port $second_port)."
start_resolver "$first" "$first_port"
start_resolver "$second" "$second_port"
echo "Starting the relay on 127.0.0.1, port $relay_port. Its upstreams, in this order: first, second."
start_relay
indent < "$work/relay.log"

echo
echo "\$ dig @127.0.0.1 -p $first_port +tcp www.demo.example A      (the resolver itself, without TLS)"
judge "the resolvers do not answer plain DNS, so every answer below came over TLS" plain_dns_is_refused

ask 'status: NOERROR.*192\.0\.2\.80.*\(TCP\)' "an IPv4 address over TCP" +tcp www.demo.example A
ask 'status: NOERROR.*192\.0\.2\.80.*\(UDP\)' "an IPv4 address over UDP" www.demo.example A
ask 'status: NOERROR.*2001:db8::80.*\(TCP\)' "an IPv6 address over TCP" +tcp www.demo.example AAAA
ask 'status: NOERROR.*2001:db8::80.*\(UDP\)' "an IPv6 address over UDP" www.demo.example AAAA
ask 'flags: qr[a-z ]* tc[ ;].*ANSWER: 0,.*\(UDP\)' "an answer too big for UDP is marked as truncated (flag tc)" +ignore big.demo.example TXT
ask 'retrying in TCP.*ANSWER: 30,.*\(TCP\)' "dig then asks over TCP by itself and gets all 30 records" big.demo.example TXT
ask 'status: NXDOMAIN' "a name that does not exist is said not to exist" missing.demo.example A

echo
echo "\$ for n in 1 ... $concurrent: dig @127.0.0.1 -p $relay_port host-\$n.demo.example A &      (all at the same time)"
judge "$concurrent questions at once get $concurrent answers, each its own" many_at_once

ask "answered by $first" "the first upstream of the file is the one that answers" who.demo.example TXT
echo
echo "Stopping the first resolver ($first)."
stop "$first"
ask "answered by $first" "what was asked before comes from the cache" who.demo.example TXT
ask "answered by $second" "with the first upstream gone, the second one answers" who-now.demo.example TXT

echo
echo "Stopping the relay."
judge "the relay ends cleanly on SIGTERM and gives its port back" relay_stops_cleanly
echo "What it logged:"
indent < "$work/relay.log"

echo
echo "What this showed, with dotrelay between dig and two authenticated TLS resolvers:"
printf '  - %s\n' "${proved[@]}"
[ "$failures" -eq 0 ] || give_up "$failures of $((failures + ${#proved[@]})) steps did not show what they should"
echo "All ${#proved[@]} steps came out as they should. Nothing was left running."
