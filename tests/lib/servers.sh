# shellcheck shell=bash
# servers.sh: how the benchmarks start historiand and other programs, load them, and print their tables. Sourced from
# the top of the checkout after scripts/common.sh.
#
# Server, peers and load are sessions of their own, as services are and as PostgreSQL's processes make themselves:
# Linux may share the processor among sessions first (sched(7), autogroup). The other programs listen on free ports and
# have their data in $work, which servers_begin makes and which is gone, with all that runs, when the benchmark ends.

historiand=
peer=
load=
failed=0
bin=$(bindir)

servers_begin()
{
	work=$(mktemp -d /var/tmp/pg_historian.XXXXXX)
	chmod 755 "$work"
	export DATADIR=$work/data
	trap servers_end EXIT
	trap 'exit 130' INT TERM HUP
}

servers_end()
{
	trap '' INT TERM HUP
	[ -z "$load" ] || kill "$load" 2>/dev/null || true
	stop_peer
	stop_server
	scripts/cluster stop >/dev/null 2>&1 || true
	rm -rf "$work"
}

free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sql()
{
	"$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$(conninfo historian)" "$@"
}

# Starts historiand with the given flags on an empty table; url is where it answers.
start_server()
{
	stop_server
	sql -c 'TRUNCATE measurement' -c CHECKPOINT
	port=$(free_port)
	url=http://127.0.0.1:$port
	setsid build/historiand --listen "127.0.0.1:$port" --database "$(conninfo historian)" \
		--log-level warning "$@" >"$work/historiand.log" 2>&1 &
	historiand=$!
	wait_for "curl -fs -o /dev/null $url/readyz" "$historiand"
}

stop_server()
{
	[ -n "$historiand" ] || return 0
	kill "$historiand" 2>/dev/null || true
	wait "$historiand" 2>/dev/null || true
	historiand=
}

# Starts another program, which must answer at the URL $1; its log is $work/peer.log.
start_peer()
{
	local ready=$1

	shift
	setsid "$@" >"$work/peer.log" 2>&1 &
	peer=$!
	wait_for "curl -s -o /dev/null $ready" "$peer"
}

stop_peer()
{
	[ -n "$peer" ] || return 0
	kill "$peer" 2>/dev/null || true
	wait "$peer" 2>/dev/null || true
	peer=
}

start_victoria_metrics()
{
	port=$(free_port)
	url=http://127.0.0.1:$port
	start_peer "$url/health" victoria-metrics -storageDataPath="$work/victoria" -httpListenAddr="127.0.0.1:$port" \
		-retentionPeriod=100y -loggerLevel=ERROR
}

start_influxdb()
{
	port=$(free_port)
	url=http://127.0.0.1:$port
	mkdir "$work/influx"
	cat >"$work/influx/influxdb.conf" <<-CONF
		bind-address = "127.0.0.1:$(free_port)"
		reporting-disabled = true
		[meta]
		dir = "$work/influx/meta"
		[data]
		dir = "$work/influx/data"
		wal-dir = "$work/influx/wal"
		query-log-enabled = false
		max-series-per-database = 0
		max-values-per-tag = 0
		cache-max-memory-size = "8g"
		[http]
		bind-address = "127.0.0.1:$port"
		log-enabled = false
		max-body-size = 0
		[logging]
		level = "error"
	CONF
	start_peer "$url/ping" influxd -config "$work/influx/influxdb.conf"
	curl -fs -o /dev/null -X POST "$url/query" --data-urlencode 'q=CREATE DATABASE d'
}

wait_for()
{
	local i

	for ((i = 0; i < 600; i++)); do
		$1 && return
		kill -0 "$2" 2>/dev/null || break
		sleep 0.1
	done
	cat "$work/"*.log >&2
	die "it did not start: $1"
}

# start_load OUTPUT COMMAND...: a program that makes load, in the background; end_load waits for it.
start_load()
{
	setsid "${@:2}" >"$1" &
	load=$!
}

end_load()
{
	local status=0

	wait "$load" || status=$?
	load=
	return $status
}

# Runs historian-flood and sets accepted, refused, rate, p99_ms ... from what it prints.
flood()
{
	start_load "$work/flood" build/historian-flood --url "$url" "$@"
	end_load || true
	[ -s "$work/flood" ] || die "historian-flood failed: $*"
	eval "$(sed 's/ /;/g' "$work/flood")"
}

# Waits until SQL sees $accepted messages, at most 60 s; says how many it sees otherwise.
stored()
{
	local i count=0

	for ((i = 0; i < 300; i++)); do
		count=$(sql -c 'SELECT count(*) FROM measurement')
		[ "$count" != "$accepted" ] || break
		sleep 0.2
	done
	[ "$count" = "$accepted" ] && echo "all stored" || echo "$count of $accepted STORED"
}

# User and system time, in ticks, of historiand and of all of PostgreSQL's processes, those that ended meanwhile
# included, compaction and WAL too. Per PostgreSQL's postmaster: its own, its children's that ended (/proc's cutime), and
# what its children have used until now.
ticks_of()
{
	local pid total=0 used

	for pid in "$@"; do
		used=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | awk '{ print $12 + $13 + $14 + $15 }') || continue
		total=$((total + used))
	done
	echo "$total"
}

processor_ticks()
{
	local postmaster

	postmaster=$(head -n 1 "$DATADIR/pgdata/postmaster.pid")
	# shellcheck disable=SC2046
	ticks_of "$historiand" "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children")
}

# The number in the middle of those on the lines of stdin.
median()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# A figure with thousands separated; "-" where there is none.
grouped()
{
	printf "%'.0f" "$1" 2>/dev/null | sed ':a; s/\B[0-9]\{3\}\>/,&/; ta'
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'
}

# Is the comparison of numbers true? Says "yes" or "NO".
holds()
{
	if awk "BEGIN { exit !($1) }"; then
		echo yes
	else
		echo NO
	fi
}

# say WHAT GOAL FIGURE MET: one line of the table; the last line says whether any falls short.
say()
{
	printf '%-56s %-34s %-58s %s\n' "$1" "$2" "$3" "$4"
	[ "$4" = yes ] || failed=1
}

# The first lines of a benchmark's table.
say_header()
{
	echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $("$bin/postgres" -V), $(date -u +%F)"
	printf '%-56s %-34s %-58s %s\n' what goal figure met
}
