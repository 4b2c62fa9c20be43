. scripts/common.sh
. tests/lib/servers.sh
servers_begin
make -s -C tests/load 2>/dev/null
scripts/cluster start >/dev/null
start_server
cpu() { # name-pattern
  local t=0 v p
  for p in $(pgrep -f "$1"); do [ "$(cat /proc/$p/comm 2>/dev/null)" = "$2" ] || continue; for f in /proc/$p/task/*/schedstat; do read v _ <$f && t=$((t+v)); done; done 2>/dev/null; echo $t; }
flood --path "${UPATH:-/save?ack=committed}" --format ${FORMAT:-ndjson} --workload plant --tags 100000 --distinct 1000000 --batch 20000 --connections $CONN --duration 1
for r in $(seq ${ROUNDS:-1}); do
a1=$(cpu 'postgres: postgres historian' postgres); a2=$(cpu historiand historiand); a3=$(cpu 'compaction worker' postgres); s0=$accepted
flood --path "${UPATH:-/save?ack=committed}" --format ${FORMAT:-ndjson} --workload plant --tags 100000 --distinct 1000000 --batch 20000 --connections $CONN --duration $SECS
b1=$(cpu 'postgres: postgres historian' postgres); b2=$(cpu historiand historiand); b3=$(cpu 'compaction worker' postgres)
awk -v n="$NAME" -v r=$rate -v s=$SECS -v a=$((b1-a1)) -v b=$((b2-a2)) -v c=$((b3-a3)) 'BEGIN{m=r*s; printf "%-6s rate %9d  backend %.3f historiand %.3f worker %.3f us/row  (sum/row %.3f)\n", n, r, a/m/1000, b/m/1000, c/m/1000,(a+b+c)/m/1000}'
done
stop_server
