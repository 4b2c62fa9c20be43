# shellcheck shell=bash
# bench.sh: what the benchmarks of the extension share. Sourced from the top of the checkout.
. scripts/common.sh

# Makes a cluster in DATADIR unless there is one, with the settings given on stdin, and starts it.
bench_cluster()
{
	local settings

	settings=$(cat)
	if [ ! -e "$DATADIR/pgdata" ]; then
		scripts/cluster create
		echo "$settings" >>"$DATADIR/pgdata/postgresql.conf"
	fi
	scripts/cluster start
}

# A cluster that is gone when the program ends, in $work, where the program may put files too.
bench_throw_away_cluster()
{
	work=$(mktemp -d /var/tmp/pg_historian.XXXXXX)
	chmod 755 "$work"
	DATADIR=$work/data
	export DATADIR
	trap 'scripts/cluster stop || true; bench_at_exit || true; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	bench_cluster
}

# What else to end; a program may define its own.
bench_at_exit()
{
	:
}

# psql on the cluster's database; more arguments as psql's.
sql()
{
	PGOPTIONS="-c client_min_messages=warning ${PGOPTIONS:-}" \
		"$(bindir)/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$(conninfo historian)" "$@"
}

# calculate EXPRESSION [FORMAT]: prints its value.
calculate()
{
	awk "BEGIN { printf \"${2:-%.2f}\", $1 }"
}

goal_header()
{
	printf '\n%-58s %12s %12s\n' 'It must show' goal here
}

# goal WHAT FIGURE <= GOAL [UNIT]: a line that says whether the figure meets its goal.
goal()
{
	printf '%-58s %12s %12s %-16s %s\n' "$1" "$3 $4" "$2" "${5:-}" \
		"$(awk "BEGIN { print ($2 $3 $4) ? \"met\" : \"NOT MET\" }")"
}
