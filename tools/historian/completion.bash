# shellcheck shell=bash
# completion.bash: completes the commands, options and tags of historian; installed for bash-completion.
#
# Options are those that --help lists. Tags are asked of the database that the variables PGHOST,
# PGDATABASE and so on name, for a second at most.

_historian()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]:-} program=${COMP_WORDS[0]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "import export tags tail check doctor token --help --version" -- "$word")
		return
	fi
	case $before in
		-f | --format)
			mapfile -t COMPREPLY < <(compgen -W "$("$program" "$command" --format "?" 2>&1 | sed -n 's/.*expected //; s/ or / /gp')" -- "$word")
			return
			;;
		--precision)
			mapfile -t COMPREPLY < <(compgen -W "ns us ms s" -- "$word")
			return
			;;
		-o | --output | --rejects | --file | --token-file | --ca-file | --certificate | --key)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
			;;
	esac
	if [ "$command" != import ] && [ "$before" = --time ]; then
		mapfile -t COMPREPLY < <(compgen -W "integer rfc3339" -- "$word")
		return
	fi
	if [ "$command" = token ] && [ "$COMP_CWORD" = 2 ]; then
		mapfile -t COMPREPLY < <(compgen -W "new list remove --help" -- "$word")
		return
	fi
	case $word in
		-*)
			mapfile -t COMPREPLY < <(compgen -W "$("$program" "$command" --help 2>/dev/null |
				sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p')" -- "$word")
			return
			;;
	esac
	case $command in
		import) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		export | tail)
			# A tag may have spaces; the last word is what has been typed of it.
			mapfile -t COMPREPLY < <(PGCONNECT_TIMEOUT=1 timeout 1 "$program" tags --format plain "$word" 2>/dev/null </dev/null |
				head -n 200 | while IFS= read -r tag; do printf '%q\n' "$tag"; done)
			;;
	esac
}
complete -o bashdefault -F _historian historian
