# shellcheck shell=bash
# peer.sh: asking the other server, POSTGRES_PEER.  Sourced.

die()
{
	echo "historian: $*" >&2
	exit 1
}

# Runs SQL there as replicator; fails where it does not answer.
peer()
{
	[ -n "${POSTGRES_PEER:-}" ] || return 1
	PGPASSWORD=$(<"$REPLICATOR_PASSWORD_FILE") PGCONNECT_TIMEOUT=3 PGSSLMODE=prefer \
		psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$POSTGRES_PEER" -U replicator -d historian -c "$1" 2>/dev/null
}

peer_is_primary()
{
	[ "$(peer 'SELECT NOT pg_is_in_recovery()')" = t ]
}
