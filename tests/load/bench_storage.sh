#!/usr/bin/env bash
# tests/load/bench_storage.sh [load] [lifecycle] [crash]: what docs/adr/0001 was decided on.
#
# Compares, in one run and on one server, historian tables (A: segments in the table's own fork)
# with the same segments in an ordinary side table with a btree (B), and with heap tables of the
# rows themselves. Without arguments it runs all three parts:
#
#   load       times, WAL and sizes of ROWS messages, in one COPY and in SMALL_COPIES small ones
#   lifecycle  what DROP, TRUNCATE, rollback, VACUUM, ALTER, pg_dump, GRANT do to A and to B
#   crash      kill -9 and a standby, on clusters of its own in a temporary directory (not as root)
#
# load and lifecycle need a superuser on a server of this machine or another (PGHOST, PGPORT,
# PGUSER, PGDATABASE, ...) with the extensions historian and pageinspect installed; they work in a
# database historian_bench of their own, which they create and drop. Takes from the environment:
#   ROWS=2000000  SMALL_COPIES=100  RUNS=5 (rounds; medians count)  PG_CONFIG=pg_config  CC=cc
#   TABLESPACE_DIR  an empty directory of the server, for ALTER TABLE ... SET TABLESPACE
# Set historian.compaction = off on the server: background compaction would be measured too.
set -euo pipefail
cd "$(dirname "$0")"

ROWS=${ROWS:-2000000}
SMALL_COPIES=${SMALL_COPIES:-100}
RUNS=${RUNS:-5}
PG_CONFIG=${PG_CONFIG:-pg_config}
CC=${CC:-cc}
bindir=$("$PG_CONFIG" --bindir)
admin_database=${PGDATABASE:-postgres}

work=$(mktemp -d "${TMPDIR:-/tmp}/historian-bench.XXXXXX")
clusters=()

finish()
{
	local cluster

	for cluster in "${clusters[@]}"; do
		"$bindir/pg_ctl" -D "$cluster" -m immediate stop >/dev/null 2>&1 || true
	done
	rm -rf "$work"
}
trap finish EXIT

sql()
{
	PGOPTIONS="-c client_min_messages=warning ${options:-}" \
		"$bindir/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# The answer of one statement, or its error, on one line.
try()
{
	sql -c "$1" 2>&1 | sed 's/^psql:[^ ]* //' | grep -v '^\(DETAIL\|HINT\|LINE\|CONTEXT\|NOTICE\|drop\)' |
		tr '\n' ' ' | sed 's/ *$//' || true
}

milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

median()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# ratio A B: A as a multiple of B.
ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'
}

create_database()
{
	PGDATABASE=$admin_database sql -c 'DROP DATABASE IF EXISTS historian_bench' \
		-c 'CREATE DATABASE historian_bench' 2>/dev/null
	export PGDATABASE=historian_bench
	sql -c 'CREATE EXTENSION historian' -c 'CREATE EXTENSION pageinspect'
}

drop_database()
{
	export PGDATABASE=$admin_database
	sql -c 'DROP DATABASE historian_bench'
}

make_rows()
{
	"$CC" -O2 -std=gnu11 -ffp-contract=off -o "$work/bench-rows" bench_rows.c workload.c
	"$work/bench-rows" "$ROWS" 1 "$work/one."
	"$work/bench-rows" "$ROWS" "$SMALL_COPIES" "$work/small."
	# without its last bytes a COPY fails in its last row: all the work except for the writing
	head -c -5 "$work/one.0" >"$work/endless.0"
}

copies()
{
	local table=$1 prefix=$2 file=0

	for ((file = 0; ; file++)); do
		[ -e "$work/$prefix.$file" ] || break
		echo "\\copy $table FROM '$work/$prefix.$file' (FORMAT binary)"
	done
}

# The segments of a historian table as B's rows: tag, times, the rest of the bytes as payload.
# A segment that fills its page is cut by the few bytes that B's columns need.
segments_of()
{
	cat <<-SQL
		CREATE UNLOGGED TABLE $2 AS
		SELECT dense_rank() OVER (ORDER BY sequence) AS load,
			convert_from(substr(bytes, 37, tag_bytes), 'UTF8') AS tag,
			first_time, last_time,
			substr(substr(bytes, 1, 16) || substr(bytes, 33, 4) || substr(bytes, 37 + tag_bytes), 1,
				8160 - 24 - 16 - 4 - 8 - tag_bytes) AS payload
		FROM (SELECT bytes, little(bytes, 34, 2)::integer AS tag_bytes, little(bytes, 8, 8) AS sequence,
				little(bytes, 16, 8) AS first_time, little(bytes, 24, 8) AS last_time, block, item
			FROM generate_series(0, pg_relation_size('$1') / 8192 - 1) AS block,
				LATERAL (SELECT lp AS item, t_data AS bytes
					FROM heap_page_items(get_raw_page('$1', block::integer)) WHERE lp_flags = 1) AS page
		) AS segment
		ORDER BY load, block, item;
		CREATE INDEX ON $2 (load);
		VACUUM ANALYZE $2;
	SQL
}

little_endian="CREATE FUNCTION little(bytes bytea, at integer, n integer) RETURNS bigint
	LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
	\$\$ SELECT sum(get_byte(bytes, at + i)::bigint << (8 * i))::bigint
		FROM generate_series(0, n - 1) AS i \$\$"

# B's side table. PLAIN: a payload is neither compressed nor moved out of line.
side_table()
{
	echo "CREATE TABLE $1 (tag text COLLATE \"C\" NOT NULL, first_time bigint NOT NULL,
			last_time bigint NOT NULL, payload bytea NOT NULL);
		ALTER TABLE $1 ALTER payload SET STORAGE PLAIN;
		CREATE INDEX ON $1 (tag, first_time);"
}

# run NAME TABLE PREPARE SCRIPT: notes the milliseconds and WAL bytes of a psql script, and the sizes
# of the table after it (TABLE may be empty), in a file of that name.
run()
{
	local name=$1 table=$2 before after wal size='0 0'

	echo "$3" | sql >/dev/null
	sql -c CHECKPOINT
	echo "$4" >"$work/script"
	wal=$(sql -c 'SELECT pg_current_wal_insert_lsn()')
	before=$(milliseconds)
	sql -f "$work/script" >/dev/null 2>"$work/errors" || [ -z "$table" ] || cat "$work/errors" >&2
	after=$(milliseconds)
	[ -z "$table" ] ||
		size=$(sql -F ' ' -c "SELECT pg_relation_size('$table'), pg_total_relation_size('$table')")
	echo "$((after - before)) $(sql -c "SELECT pg_current_wal_insert_lsn() - '$wal'") $size" \
		>>"$work/times $name"
	[ -n "${seen[$name]:-}" ] || names+=("$name")
	seen[$name]=1
}

# The table of what was noted; the first line is what the others are compared with.
report()
{
	local name base='' time

	printf '%-44s %9s %6s %17s %9s %9s %9s %10s\n' '' 'median ms' times 'least .. most' 'MB WAL' \
		'MB table' 'MB total' bytes/row
	for name in "${names[@]}"; do
		time=$(cut -d' ' -f1 "$work/times $name" | median)
		[ -n "$base" ] || base=$time
		printf '%-44s %9s %6s %17s ' "$name" "$time" "$(ratio "$time" "$base")" \
			"$(cut -d' ' -f1 "$work/times $name" | sort -n | sed -n '1h; $ { H; g; s/\n/ .. /; p }')"
		cut -d' ' -f2- "$work/times $name" | sort -n | awk -v rows="$ROWS" \
			'{ w[NR] = $1; t = $2; a = $3 }
			END { printf "%9.1f %9.1f %9.1f %10.1f\n", w[int((NR + 1) / 2)] / 1e6, t / 1e6, a / 1e6, a / rows }'
	done
}

load_part()
{
	local columns='(time bigint, tag text, values float8[])' prefix round

	create_database
	sql -c "$little_endian"
	make_rows
	for prefix in one small; do
		names=()
		rm -f "$work/times "*
		declare -A seen=()
		# a round after the other, so that what disturbs the machine disturbs all alike
		for ((round = 0; round < RUNS; round++)); do
			run 'heap, logged, no index' t "DROP TABLE IF EXISTS t; CREATE TABLE t $columns" \
				"$(copies t $prefix)"
			run 'heap, unlogged, no index' t "DROP TABLE t; CREATE UNLOGGED TABLE t $columns" \
				"$(copies t $prefix)"
			run 'heap, logged, btree (tag, time)' t \
				"DROP TABLE t; CREATE TABLE t $columns; CREATE INDEX ON t (tag, time)" \
				"$(copies t $prefix)"
			run 'A: historian, unlogged' t \
				"DROP TABLE t; CREATE UNLOGGED TABLE t $columns USING historian" "$(copies t $prefix)"
			run 'A: historian, logged' t "DROP TABLE t; CREATE TABLE t $columns USING historian" \
				"$(copies t $prefix)"
			if [ $round = 0 ]; then
				sql -c 'DROP TABLE IF EXISTS segments'
				segments_of t segments | sql
			fi
			run 'B: the segments of A into a side table' side \
				"DROP TABLE IF EXISTS side; $(side_table side);
				SELECT count(*), sum(length(payload)) FROM segments" \
				"$(sql -c "SELECT 'INSERT INTO side SELECT tag, first_time, last_time, payload
					FROM segments WHERE load = ' || load || ';' FROM segments GROUP BY load ORDER BY load")"
			[ $prefix = one ] || continue
			options='-c historian.write_buffer=2097151kB'
			run 'A: in one batch' t "DROP TABLE t; CREATE TABLE t $columns USING historian" \
				"$(copies t one)"
			run 'A: in one batch, failing before the write' '' \
				"DROP TABLE t; CREATE TABLE t $columns USING historian" "$(copies t endless)"
			options=
		done
		[ $prefix = one ] && echo "== load: $ROWS messages in one COPY BINARY, $RUNS rounds" ||
			echo "== load: $ROWS messages in $SMALL_COPIES COPY BINARY, $RUNS rounds"
		report
		sql -c "SELECT 'A wrote ' || count(*) || ' segments in ' || count(DISTINCT load) ||
			' batches; bytes: mean ' || avg(length(payload))::integer || ', most ' || max(length(payload))
			FROM segments"
	done
	drop_database
}

# Makes A (app.a) and B (the view app.b over historian_side.b) with the same segments.
make_twins()
{
	sql <<-SQL
		DROP SCHEMA IF EXISTS app CASCADE;
		DROP SCHEMA IF EXISTS historian_side CASCADE;
		CREATE SCHEMA app;
		CREATE SCHEMA historian_side;
		CREATE TABLE app.a (time bigint, tag text, values float8[]) USING historian;
		\\copy app.a FROM '$work/one.0' (FORMAT binary)
		DROP TABLE IF EXISTS segments;
		$(segments_of app.a segments)
		$(side_table historian_side.b)
		INSERT INTO historian_side.b SELECT tag, first_time, last_time, payload FROM segments;
		CREATE VIEW app.b AS SELECT tag, first_time AS time, payload FROM historian_side.b;
	SQL
}

# What of A or B is left in the catalogs and what it occupies.
left()
{
	sql -c "SELECT count(*) || ' relations, ' ||
			coalesce(round(sum(pg_relation_size(oid)) / 1e6, 1), 0) || ' MB'
		FROM pg_class WHERE relname ~ '^$1(\$|_)' AND relnamespace::regnamespace::text ~ 'app|side'"
}

# The number of rows and a sum that any change would change.
digest()
{
	sql -c "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM $1 AS t"
}

# compare WHAT, then A's answer and B's
compare()
{
	printf '%s\n    A: %s\n    B: %s\n' "$1" "${2:-ok}" "${3:-ok}"
}

count_both()
{
	sql -c "SELECT count(*) FROM app.$1"
}

tablespace_case()
{
	[ -n "${TABLESPACE_DIR:-}" ] || return 0
	sql -c "CREATE TABLESPACE historian_bench LOCATION '$TABLESPACE_DIR'"
	compare 'ALTER TABLE ... SET TABLESPACE' \
		"$(try 'ALTER TABLE app.a SET TABLESPACE historian_bench') $(count_both a) rows" \
		"$(try 'ALTER TABLE app.b SET TABLESPACE historian_bench') $(count_both b) segments"
	sql -c 'ALTER TABLE app.a SET TABLESPACE pg_default' -c 'DROP TABLESPACE historian_bench'
}

persistence()
{
	sql -c "SELECT string_agg(relname || '=' || relpersistence::text, ' ' ORDER BY relkind DESC)
		FROM pg_class WHERE relname ~ '^$1(\$|_)' AND relnamespace::regnamespace::text ~ 'app|side'" |
		sed 's/_directory_[0-9a-f]*/_directory/'
}

owners()
{
	sql -c "SELECT string_agg(relname || '=' || relowner::regrole::text, ' ' ORDER BY relkind DESC)
		FROM pg_class WHERE relname ~ '^$1(\$|_)' AND relnamespace::regnamespace::text ~ 'app|side'" |
		sed 's/_directory_[0-9a-f]*/_directory/'
}

# Loads and rolls back, vacuums, loads again: the sizes in MB show whether space is used again.
reuse()
{
	local load=$1 table=$2 sizes='' step

	for step in "BEGIN; $load; ROLLBACK" "VACUUM $table" "$load"; do
		sizes="$sizes $(sql -c "SELECT round(pg_table_size('$table') / 1e6, 1)") ->"
		echo "$step" | sed 's/; *\\copy/;\n\\copy/; s/); ROLLBACK/)\nROLLBACK/' | sql
	done
	echo "$sizes $(sql -c "SELECT round(pg_table_size('$table') / 1e6, 1)")"
}

# The sizes in MB after each of the statements.
sizes()
{
	local table=$1 line='' statement

	shift
	for statement in "$@"; do
		echo "$statement" | sql >/dev/null
		line="$line -> $(sql -c "SELECT round(pg_table_size('$table') / 1e6, 1)")"
	done
	echo "${line# -> }"
}

dumps()
{
	"$bindir/pg_dump" -f "$work/dump" "$@"
	echo "$(grep -c '^COPY ' "$work/dump") COPY, $(awk '{ n += length($0) + 1 } END { printf "%.1f", n / 1e6 }' "$work/dump") MB"
}

lifecycle_part()
{
	local rows small=200000

	create_database
	sql -c "$little_endian"
	[ "$ROWS" -lt $small ] || ROWS=$small
	make_rows
	make_twins
	echo "== lifecycle: $ROWS messages"
	compare 'size by the name the user knows: pg_total_relation_size' \
		"$(try "SELECT pg_total_relation_size('app.a')")" \
		"$(try "SELECT pg_total_relation_size('app.b')")"
	compare 'BEGIN; TRUNCATE; ROLLBACK; then rows / segments' \
		"$(try 'BEGIN; TRUNCATE app.a; ROLLBACK') $(count_both a)" \
		"$(try 'BEGIN; TRUNCATE app.b; ROLLBACK') $(count_both b)"
	compare 'a load rolled back, VACUUM, the load again: MB' \
		"$(reuse "\\copy app.a FROM '$work/one.0' (FORMAT binary)" app.a)" \
		"$(reuse 'INSERT INTO historian_side.b SELECT tag, first_time, last_time, payload FROM segments' historian_side.b)"
	make_twins
	compare 'small loads, merge of their segments, VACUUM, the same loads again: MB' \
		"$(sizes app.a "TRUNCATE app.a;
			$(copies app.a small)" "SELECT historian.compact('app.a')" 'VACUUM app.a' "$(copies app.a small)")" \
		"$(sizes historian_side.b 'SELECT' 'BEGIN; DELETE FROM historian_side.b; INSERT INTO historian_side.b
			SELECT tag, first_time, last_time, payload FROM segments; COMMIT' 'VACUUM historian_side.b' \
			'INSERT INTO historian_side.b SELECT tag, first_time, last_time, payload FROM segments')"
	make_twins
	compare 'ALTER TABLE ... SET UNLOGGED' "$(try 'ALTER TABLE app.a SET UNLOGGED') $(persistence a)" \
		"$(try 'ALTER TABLE app.b SET UNLOGGED') $(persistence b)"
	compare 'ALTER TABLE ... SET LOGGED' "$(try 'ALTER TABLE app.a SET LOGGED') $(persistence a)" \
		"$(try 'ALTER TABLE app.b SET LOGGED') $(persistence b)"
	tablespace_case
	sql -c 'DROP ROLE IF EXISTS historian_bench' -c 'CREATE ROLE historian_bench' \
		-c 'GRANT CREATE, USAGE ON SCHEMA app TO historian_bench'
	compare 'ALTER TABLE ... OWNER TO' "$(try 'ALTER TABLE app.a OWNER TO historian_bench') $(owners a)" \
		"$(try 'ALTER TABLE app.b OWNER TO historian_bench') $(owners b)"
	compare 'the new owner reads it' \
		"$(try 'SET ROLE historian_bench; SELECT count(*) FROM app.a')" \
		"$(try 'SET ROLE historian_bench; SELECT count(*) FROM app.b')"
	compare 'pg_dump of the table by its name' "$(dumps -t app.a)" "$(dumps -t app.b)"
	compare 'pg_dump of its schema' "$(dumps -n app -T 'app.b*')" "$(dumps -n app -T 'app.a*')"
	rows=$(digest app.a)
	"$bindir/pg_dump" -Fc -T segments -f "$work/dump"
	sql -c 'DROP DATABASE IF EXISTS historian_bench_copy' -c 'CREATE DATABASE historian_bench_copy'
	"$bindir/pg_restore" -d historian_bench_copy "$work/dump"
	export PGDATABASE=historian_bench_copy
	[ "$rows" = "$(digest app.a)" ] && rows=same || rows=DIFFERENT
	compare 'pg_dump -Fc of the database, restored: rows; what there is then' \
		"$rows rows; $(left a)" "$(left b)"
	export PGDATABASE=historian_bench
	sql -c 'DROP DATABASE historian_bench_copy' -c 'DROP SCHEMA app CASCADE'
	sql -c 'DROP OWNED BY historian_bench' -c 'DROP ROLE historian_bench'
	make_twins
	compare 'TRUNCATE; what it occupies then' "$(try 'TRUNCATE app.a') $(left a)" \
		"$(try 'TRUNCATE app.b') $(left b)"
	make_twins
	compare 'DROP of what the user knows; what is left' \
		"$(try 'DROP TABLE app.a') $(left a)" "$(try 'DROP VIEW app.b') $(left b)"
	make_twins
	compare 'DROP TABLE of the side table / DROP INDEX of the directory' \
		"$(try "DO \$\$ BEGIN EXECUTE 'DROP INDEX app.' || (SELECT relname FROM pg_class WHERE relname ~ '^a_directory'); END \$\$")" \
		"$(try 'DROP TABLE historian_side.b')"
	compare 'DROP SCHEMA app CASCADE; what is left' "$(sql -c 'DROP SCHEMA app CASCADE'; left a)" \
		"$(left b)"
	make_twins
	compare 'DROP EXTENSION historian' "$(try 'DROP EXTENSION historian')" '(the same)'
	sql -c 'DROP EXTENSION historian CASCADE'
	compare 'DROP EXTENSION historian CASCADE; what is left' "$(left a)" "$(left b)"
	drop_database
}

# A cluster of its own, reached through the directory NAME-socket.
new_cluster()
{
	mkdir "$work/$1-socket"
	"$bindir/initdb" -D "$work/$1" -k -U postgres --no-instructions >/dev/null 2>&1
	cat >>"$work/$1/postgresql.conf" <<-CONF
		port = 5432
		listen_addresses = ''
		unix_socket_directories = '$work/$1-socket'
		shared_preload_libraries = 'historian'
	CONF
	start_cluster "$1"
}

start_cluster()
{
	clusters+=("$work/$1")
	"$bindir/pg_ctl" -D "$work/$1" -l "$work/$1.log" -w start >/dev/null 2>&1
}

crash_part()
{
	local started committed replayed=f

	if [ "$(id -u)" = 0 ]; then
		echo '== crash: skipped, as PostgreSQL does not run as root'
		return
	fi
	[ "$ROWS" -lt 400000 ] || ROWS=400000
	SMALL_COPIES=40 make_rows
	chmod 700 "$work"
	new_cluster primary
	export PGHOST=$work/primary-socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	echo "== crash: $ROWS messages in 40 loads"
	sql -c 'CREATE EXTENSION historian' -c "CREATE TABLE t (time bigint, tag text, values float8[]) USING historian" \
		-c "CREATE TABLE heap (time bigint, tag text, values float8[])"

	# kill -9 in the middle: what psql was told is committed must be there, and not half a load more
	copies t small | sed 's/$/\n\\echo committed/' >"$work/script"
	sql -f "$work/script" >"$work/committed" 2>/dev/null &
	started=$!
	until [ "$(wc -l <"$work/committed")" -ge 15 ]; do :; done
	kill -9 "$(head -1 "$work/primary/postmaster.pid")"
	wait "$started" || true
	committed=$(wc -l <"$work/committed")
	# until the last backend has seen that the postmaster is gone, a new one cannot start
	until start_cluster primary; do sleep 0.1; done
	echo "kill -9 during load $((committed + 1)): $committed loads of $((ROWS / 40)) committed," \
		"$(sql -c 'SELECT count(*) FROM t') rows after the restart"

	# a standby of what was loaded, before and after it was made; then its promotion
	"$bindir/pg_basebackup" -D "$work/standby" -R -c fast
	mkdir "$work/standby-socket"
	echo "unix_socket_directories = '$work/standby-socket'" >>"$work/standby/postgresql.conf"
	start_cluster standby || { cat "$work/standby.log" >&2 && return 1; }
	sql -c 'TRUNCATE t'
	copies t small | sql
	copies heap small | sql
	sql -c "SELECT historian.compact('t')" >/dev/null
	until [ "$replayed" = t ]; do
		replayed=$(PGHOST=$work/standby-socket sql -c \
			"SELECT pg_last_wal_replay_lsn() >= '$(sql -c 'SELECT pg_current_wal_lsn()')'")
	done
	echo "heap on the primary:          $(digest heap)"
	echo "A on the primary:             $(digest t)"
	echo "A on the standby:             $(PGHOST=$work/standby-socket digest t)"
	PGHOST=$work/standby-socket "$bindir/psql" -X -q -c 'SELECT pg_promote()' >/dev/null
	copies t small | PGHOST=$work/standby-socket sql
	echo "A promoted, all loaded again: $(PGHOST=$work/standby-socket digest t)"
}

parts=("$@")
[ $# -gt 0 ] || parts=(load lifecycle crash)
sql -c "SELECT version()" 2>/dev/null || true
for part in "${parts[@]}"; do
	"${part}_part"
done
