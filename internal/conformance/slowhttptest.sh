#!/usr/bin/env bash
# Runs slowhttptest against kami with its default settings: slow headers, slow bodies and slow reads, on 500 connections
# for half a minute each. It needs Go, curl and slowhttptest (Debian: apt-get install slowhttptest). It exits with status
# 1 if the service becomes unavailable, or if a connection with slow headers is open 12 seconds after the last was made.
set -euo pipefail
cd "$(dirname "$0")"

connections=500
rate=250 # per second
length=30

for tool in slowhttptest curl; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 1; }
done

dir=$(mktemp -d)
server=
attack=
finish() {
	for process in $attack $server; do
		kill "$process" 2>/dev/null || true
		wait "$process" || true
	done
	rm -rf "$dir"
}
trap finish EXIT

go build -o "$dir/server" ./server
"$dir/server" -with kami -mode plain >"$dir/address" 2>"$dir/log" &
server=$!
for _ in $(seq 100); do
	[ ! -s "$dir/address" ] || break
	sleep 0.1
done
url=http://$(cat "$dir/address")

date -u +%Y-%m-%d
go version
{ slowhttptest -h 2>&1 || true; } | sed -n 's/.* - version /slowhttptest version /p'

status=0

# attack runs slowhttptest with the flags, which name the mode, and shows the last status that it prints.
attack() {
	printf '\n== %s: slowhttptest -c %s -r %s -l %s %s\n' "$1" "$connections" "$rate" "$length" "${*:2}"
	timeout $((length + 30)) slowhttptest -v 1 -c "$connections" -r "$rate" -l "$length" -p 3 "${@:2}" \
		>"$dir/report" 2>&1 </dev/null &
	attack=$!
}

# await waits for the attack to end, and shows its last status and whether it found the service available throughout.
await() {
	wait "$attack" || true
	attack=
	local report
	report=$(sed 's/\x1b\[[0-9;]*[A-Za-z]//g' "$dir/report" | tr -d '\r')
	printf '%s\n' "$report" | tac | sed '/slow HTTP test status on/q' | tac | grep -v '^ *$'
	if printf '%s\n' "$report" | grep -q 'service available: *NO'; then
		echo 'the service was unavailable'
		status=1
	fi
}

attack 'slow headers' -H -i 3 -u "$url/"
sleep $((connections / rate + 12))
left=$(($(curl -sS --max-time 5 "$url/open") - 1)) # without the one that asks
echo "open 12 s after the last connection was made: $left"
[ "$left" -eq 0 ] || status=1
await
attack 'slow body' -B -i 3 -s 8192 -u "$url/"
await
attack 'slow read' -X -n 1 -w 10 -y 20 -z 32 -k 3 -u "$url/big"
await
exit $status
