# shellcheck shell=bash
# other_stores.sh: what the workload takes in other stores, where Debian's packages of them are
# installed: victoria-metrics, influxdb. Sourced. They listen on 127.0.0.1, STORE_PORT and the next.
STORE_PORT=${STORE_PORT:-18428}

# disk_bytes DIRECTORY
disk_bytes()
{
	du -s --block-size=1 --apparent-size "$1" | cut -f1
}

# settled_bytes DIRECTORY: its size once it has stayed the same for 3 seconds, within 60.
settled_bytes()
{
	local bytes=0 last=-1 same=0 i

	for ((i = 0; i < 60 && same < 3; i++)); do
		bytes=$(disk_bytes "$1")
		same=$([ "$bytes" = "$last" ] && echo $((same + 1)) || echo 0)
		last=$bytes
		sleep 1
	done
	echo "$bytes"
}

# wait_for URL
wait_for()
{
	local i

	for ((i = 0; i < 300; i++)); do
		! curl -fs -o /dev/null "$1" || return 0
		sleep 0.1
	done
	echo "no answer from $1" >&2
	return 1
}

# send URL FILE...: posts each file of lines, its times in nanoseconds.
send()
{
	local url=$1 file

	for file in "${@:2}"; do
		curl -fs -o /dev/null -X POST "$url" --data-binary "@$file" || return 1
	done
}

# Bytes on disk of the lines in "$@", flushed and merged; VictoriaMetrics keeps milliseconds and is lossy.
victoria_metrics_bytes()
{
	local dir=$1 url=http://127.0.0.1:$STORE_PORT

	victoria-metrics -storageDataPath="$dir" -httpListenAddr="127.0.0.1:$STORE_PORT" \
		-retentionPeriod=100y -loggerLevel=ERROR >/dev/null 2>&1 &
	other_store=$!
	wait_for "$url/health"
	send "$url/write?precision=ns" "${@:2}"
	curl -fs "$url/internal/force_flush" >/dev/null
	curl -fs "$url/internal/force_merge" >/dev/null
	settled_bytes "$dir/data"
	stop_other_store
}

# The same for InfluxDB 1: what it has merged of itself a few seconds after the load.
influxdb_bytes()
{
	local dir=$1 url=http://127.0.0.1:$((STORE_PORT + 1))

	mkdir -p "$dir"
	cat >"$dir/influxdb.conf" <<-CONF
		bind-address = "127.0.0.1:$((STORE_PORT + 2))"
		reporting-disabled = true
		[meta]
		dir = "$dir/meta"
		[data]
		dir = "$dir/data"
		wal-dir = "$dir/wal"
		query-log-enabled = false
		cache-snapshot-write-cold-duration = "2s"
		compact-full-write-cold-duration = "4s"
		max-series-per-database = 0
		[http]
		bind-address = "127.0.0.1:$((STORE_PORT + 1))"
		log-enabled = false
		max-body-size = 0
		[logging]
		level = "error"
	CONF
	influxd -config "$dir/influxdb.conf" >/dev/null 2>&1 &
	other_store=$!
	wait_for "$url/ping"
	curl -fs -o /dev/null -X POST "$url/query" --data-urlencode 'q=CREATE DATABASE d'
	send "$url/write?db=d&precision=n" "${@:2}"
	sleep 8
	settled_bytes "$dir/data"
	stop_other_store
}

stop_other_store()
{
	[ -z "${other_store:-}" ] || kill "$other_store" 2>/dev/null || return 0
	[ -z "${other_store:-}" ] || wait "$other_store" 2>/dev/null || true
	other_store=
}
