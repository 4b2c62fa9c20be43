# shellcheck shell=bash
# common.sh: what the scripts share. Sourced from the top of the checkout.
#
# Environment: PORT, DATADIR and PG_CONFIG, as the Makefile exports them.
#
# DATADIR holds pgdata/ (PostgreSQL's), run/ (its socket), spool/ (historiand's) and
# postgresql.log. It is 0700 and belongs to the user that PostgreSQL runs under, so the socket
# needs no password.

set -euo pipefail

PORT=${PORT:-8080}
DATADIR=${DATADIR:-$PWD/.data}
case $DATADIR in /*) ;; *) DATADIR=$PWD/$DATADIR ;; esac
PG_CONFIG=${PG_CONFIG:-$(scripts/pg-config)}

die()
{
	echo "pg_historian: $*" >&2
	exit 1
}

# The directory of PostgreSQL's programs.
bindir()
{
	"$PG_CONFIG" --bindir 2>/dev/null || die "PG_CONFIG=$PG_CONFIG does not run"
}

# The user that PostgreSQL runs under, which cannot be root.
cluster_user()
{
	local owner=

	if [ "$(id -u)" != 0 ]; then
		id -un
		return
	fi
	[ ! -e "$DATADIR/pgdata" ] || owner=$(stat -c %U "$DATADIR/pgdata")
	for owner in "$owner" "${SUDO_USER:-}" postgres; do
		if [ -n "$owner" ] && [ "$owner" != root ] && id "$owner" >/dev/null 2>&1; then
			echo "$owner"
			return
		fi
	done
	die "PostgreSQL does not run as root, and there is no user postgres"
}

# Runs a program as the user $1, keeping the process id. The caller stands in a directory that
# this user may enter.
as_user()
{
	local user=$1

	shift
	if [ "$(id -un)" = "$user" ]; then
		"$@"
	else
		HOME=/ setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
	fi
}

# The socket's directory: in DATADIR unless the path would not fit a socket's address (107 bytes).
socket_dir()
{
	local dir

	dir=$(readlink -m "$DATADIR")/run
	if [ ${#dir} -gt 90 ]; then
		dir=/tmp/pg_historian-$(printf %s "$dir" | md5sum | cut -c1-16)
	fi
	echo "$dir"
}

# A libpq conninfo string for the database $1 of the private cluster.
conninfo()
{
	local dir

	dir=$(socket_dir | sed "s/[\\\\']/\\\\&/g")
	case $dir in *[!A-Za-z0-9/._-]*) dir="'$dir'" ;; esac
	echo "host=$dir port=5432 user=postgres dbname=$1"
}
