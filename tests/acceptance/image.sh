#!/usr/bin/env bash
# The container image under the rights it is meant for: `tests/acceptance/image.sh [IMAGE]`, by hand, after `./dev image`.
#
# Runs the image with a read-only root, no capability, no way to gain one and a user without a name, in front of a real DoT resolver
# (unbound with local data) on loopback, asks through it with dig over UDP and TCP, and stops it. Ends with `N passed, N failed`.
# Needs podman, unbound, openssl and dig. Uses ports 12755 and 12853 of loopback and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."

image=${1:-localhost/dotrelay:latest}
relay_port=12755
upstream_port=12853
name=dotrelay-acceptance-$$

for command in podman unbound openssl dig; do
  command -v "$command" >/dev/null || { echo "$command is missing (Debian: podman runc unbound openssl bind9-dnsutils)" >&2; exit 1; }
done
# shellcheck source=packaging/image/podman.sh
. packaging/image/podman.sh
run_podman image exists "$image" || { echo "there is no image $image; ./dev image builds it" >&2; exit 1; }

scratch=$(mktemp -d)
upstream=
finish() {
  run_podman rm -f -t 0 "$name" >/dev/null 2>&1 || true
  if [ -n "$upstream" ]; then kill "$upstream" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT

passed=0
failed=0
# expect WHAT WANTED GOT: equal strings pass.
expect() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
    echo "ok     $1"
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n       wanted: %s\n       got:    %s\n' "$1" "$2" "$3"
  fi
}
# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
relay() {
  run_podman run --network host --read-only --cap-drop all --security-opt no-new-privileges --user 53853:53853 \
    "${podman_run_options[@]}" "$@"
}
ask() { dig @127.0.0.1 -p "$relay_port" +tries=1 +time=5 "$@"; }

# A throw-away CA and a certificate for upstream.test.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=dotrelay acceptance CA" \
  -keyout "$scratch/ca.key" -out "$scratch/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=upstream.test" \
  -keyout "$scratch/upstream.key" -out "$scratch/upstream.csr" 2>/dev/null
openssl x509 -req -in "$scratch/upstream.csr" -CA "$scratch/ca.pem" -CAkey "$scratch/ca.key" -CAcreateserial -days 2 \
  -extfile <(echo "subjectAltName=DNS:upstream.test") -out "$scratch/upstream.pem" 2>/dev/null

# An answer of 3,000 octets, too large for UDP.
large=$(for part in $(seq 15); do printf ' "%0200d"' "$part"; done)
cat >"$scratch/unbound.conf" <<END
server:
  interface: 127.0.0.1@$upstream_port
  tls-port: $upstream_port
  tls-service-key: "$scratch/upstream.key"
  tls-service-pem: "$scratch/upstream.pem"
  access-control: 127.0.0.0/8 allow
  username: ""
  chroot: ""
  directory: "$scratch"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  local-zone: "demo.example." static
  local-data: "demo.example. 300 IN SOA ns.demo.example. root.demo.example. 1 2 3 4 5"
  local-data: "www.demo.example. 300 IN A 192.0.2.7"
  local-data: "www.demo.example. 300 IN AAAA 2001:db8::7"
  local-data: 'large.demo.example. 300 IN TXT$large'
END
unbound -d -c "$scratch/unbound.conf" >"$scratch/unbound.log" 2>&1 &
upstream=$!

cat >"$scratch/dotrelay.toml" <<END
[listen]
addresses = ["127.0.0.1:$relay_port"]
workers = 2
[[upstream]]
name = "unbound"
addresses = ["127.0.0.1:$upstream_port"]
tls_name = "upstream.test"
ca_file = "/etc/dotrelay/ca.pem"
END
chmod 755 "$scratch"
chmod 644 "$scratch/dotrelay.toml" "$scratch/ca.pem"

expect "the image's own configuration is a good one" 0 "$(relay --rm "$image" check >"$scratch/check" 2>&1; echo $?)"
expect "the image says which user it is for" 53853:53853 "$(run_podman image inspect --format '{{.Config.User}}' "$image")"
# shellcheck disable=SC2016  # these are podman's variables
expect "the image says which ports it serves" "12555/tcp 12555/udp" \
  "$(run_podman image inspect --format '{{range $port, $none := .Config.ExposedPorts}}{{$port}} {{end}}' "$image" | xargs)"

relay -d --name "$name" -v "$scratch/dotrelay.toml:/etc/dotrelay/dotrelay.toml:ro" -v "$scratch/ca.pem:/etc/dotrelay/ca.pem:ro" \
  "$image" >/dev/null
if ! wait_for 10 ask +short www.demo.example; then
  cat "$scratch/unbound.log" >&2
  run_podman logs "$name" >&2
  echo "the relay does not answer" >&2
  exit 1
fi

expect "A over UDP" 192.0.2.7 "$(ask +notcp +short www.demo.example A)"
expect "A over TCP" 192.0.2.7 "$(ask +tcp +short www.demo.example A)"
expect "AAAA over UDP" 2001:db8::7 "$(ask +notcp +short www.demo.example AAAA)"
expect "AAAA over TCP" 2001:db8::7 "$(ask +tcp +short www.demo.example AAAA)"
expect "a large answer is cut short over UDP" "tc" "$(ask +notcp +ignore large.demo.example TXT | grep -oE '^;; flags:.* tc' | grep -o 'tc$')"
expect "and complete over TCP" 3000 "$(ask +short large.demo.example TXT | tr -cd 0-9 | wc -c)"
expect "a name that does not exist" NXDOMAIN "$(ask none.demo.example | grep -oE 'status: [A-Z]+' | cut -d' ' -f2)"

two_workers() { [ "$(pgrep -c -P "$supervisor")" = 2 ]; }
supervisor=$(run_podman inspect --format '{{.State.Pid}}' "$name")
processes="$supervisor $(pgrep -P "$supervisor" | xargs)"
expect "one supervisor and two workers" 3 "$(wc -w <<<"$processes")"
# What each process may do, as the kernel sees it: one line when all are alike.
rights() { for process in $processes; do sed -n "s/^$1:[[:space:]]*//p" "/proc/$process/status"; done | sort -u | xargs; }
expect "every process has the user 53853" "53853 53853 53853 53853" "$(rights Uid)"
expect "no capability, now or later" "0000000000000000 0000000000000000" "$(rights CapEff) $(rights CapBnd)"
expect "no way to gain rights" 1 "$(rights NoNewPrivs)"
expect "the root is read-only" ro "$(awk '$5 == "/" { print substr($6, 1, 2) }' "/proc/$supervisor/mountinfo")"

kill -9 "$(pgrep -P "$supervisor" | head -n 1)"
expect "a killed worker is not missed" 20 "$(for _ in $(seq 20); do ask +notcp +short www.demo.example; done | grep -c 192.0.2.7)"
expect "and is replaced" 0 "$(wait_for 5 two_workers; echo $?)"

begin=$SECONDS
run_podman stop -t 20 "$name" >/dev/null
expect "a stop drains and exits with status 0" 0 "$(run_podman inspect --format '{{.State.ExitCode}}' "$name")"
expect "in less than ten seconds" yes "$([ $((SECONDS - begin)) -lt 10 ] && echo yes || echo no)"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
