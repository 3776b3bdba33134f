#!/usr/bin/env bash
# Runs h2spec against kami and, to compare, against net/http alone: HTTP/2 over TLS and without (h2c). It needs Go,
# openssl and the module proxy. It reports what fails, and exits with status 1 if kami fails a case that net/http passes.
set -euo pipefail
cd "$(dirname "$0")"

# The newest release that Go can fetch as a module. It calls itself 2.0.0. It has no go.mod, so go run takes the newest
# releases of what it depends on, and says which.
h2spec=github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

dir=$(mktemp -d)
server=
finish() {
	stop
	rm -rf "$dir"
}
trap finish EXIT

# start starts the server and sets address to where it listens.
start() {
	: >"$dir/address" # not that of the one before
	"$dir/server" "$@" >"$dir/address" 2>"$dir/log" &
	server=$!
	for _ in $(seq 100); do
		address=$(cat "$dir/address")
		[ -z "$address" ] || return 0
		sleep 0.1
	done
	echo "the server does not say where it listens" >&2
	cat "$dir/log" >&2
	return 1
}

stop() {
	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null || true
	wait "$server" || true
	server=
}

# failures is the end of a report, and failed the cases in it with their sections.
failures() { sed -n '/^Failures:/,$p' "$1"; }
failed() { failures "$1" | awk '/^ *[0-9.]+\. / { section = $1 } /×/ { sub(/^ *× */, ""); print section, $0 }' | sort; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
	-keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
cat "$dir/cert.pem" "$dir/key.pem" >"$dir/certificate.pem"
go build -o "$dir/server" ./server

date -u +%Y-%m-%d
go version
go run "$h2spec" --version 2>&1 | grep -v -e downloading -e finding
status=0
for mode in tls h2c; do
	for with in net/http kami; do
		report=$dir/${with//\//-}-$mode
		start -with "$with" -mode "$mode" -certificate "$dir/certificate.pem"
		flags=(-h 127.0.0.1 -p "${address##*:}" --timeout 2)
		[ "$mode" != tls ] || flags+=(-t -k)
		printf '\n== %s, %s\n' "$with" "$mode"
		timeout 300 go run "$h2spec" "${flags[@]}" >"$report" 2>/dev/null || true # h2spec exits with 1 if a case fails
		stop
		if grep -q '^Failures:' "$report"; then failures "$report"; else tail -n 2 "$report"; fi
	done
	new=$(comm -13 <(failed "$dir/net-http-$mode") <(failed "$dir/kami-$mode"))
	if [ -n "$new" ]; then
		printf 'kami fails more than net/http:\n%s\n' "$new"
		status=1
	fi
	for report in "$dir"/*-"$mode"; do
		grep -q ' passed' "$report" || { echo "h2spec has not run to its end: ${report##*/}"; status=1; }
	done
done
exit $status
