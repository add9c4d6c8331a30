#!/bin/sh
# Follows a workspace over one SSH channel: its journal goes out, the controller's words come in.
# Each beat is answered on standard error, so that a network that is gone is noticed there.
# Ends with its input (the controller left) or with the supervisor. usage: follow.sh OFFSET
# shellcheck source=dfaas_lab/k6/alive.sh
. ./alive.sh
set -- -c "+$1"
! alive supervisor || set -- "$@" -s 0.2 --pid="$pid" -f
{
    # Whoever ends this one ends tail, or it stays. KILL: until it is tail, it heeds nothing else.
    trap 'kill -KILL "$!" 2>/dev/null; exit 0' TERM
    tail "$@" journal 2>/dev/null &
    wait "$!"
    kill $$ 2>/dev/null
} &
waiter=$!
trap 'kill "$waiter" 2>/dev/null' EXIT
trap 'exit 0' PIPE
while read -r said argument; do
    case $said in
    beat) # when it was heard, by the clock here
        read -r up _ </proc/uptime
        printf '%-40s\n' "$up" 1<>beat && echo >&2
        ;;
    stop) sh ./stop.sh "$argument" ;;
    esac
done
