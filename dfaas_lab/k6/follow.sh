#!/bin/sh
# Follows a workspace over one SSH channel: its journal goes out, the controller's words come in.
# Each beat is answered on standard error, so that a network that is gone is noticed there.
# Ends with its input (the controller left) or with the supervisor. usage: follow.sh OFFSET
read -r supervisor <supervisor
{
    tail -c "+$1" -s 0.2 --pid="$supervisor" -f journal 2>/dev/null
    kill $$ 2>/dev/null
} &
tail=$!
trap 'kill "$tail" 2>/dev/null' EXIT
while read -r word argument; do
    case $word in
    beat) printf '%-40s\n' "$argument" 1<>beat && echo >&2 ;; # in place: the disk may be full
    stop) sh ./stop.sh "$argument" ;;
    esac
done
