#!/bin/sh
# Asks k6 what a script needs, and removes its workspace. Ends with its time, and with its input:
# whoever asked may be gone, and a script may never end. usage: inspect.sh SECONDS K6 SCRIPT
exec 3<&0
# shellcheck disable=SC2016 # the inner shell expands it
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$PWD" \
    K6_AUTO_EXTENSION_RESOLUTION=false timeout -k 1 "$1" sh -c \
    '. ./env; exec "$0" inspect --include-system-env-vars --execution-requirements "$1"' "$2" "$3" </dev/null &
k6=$!
trap '' PIPE # the shell says of k6 that it was killed, perhaps to nobody
{
    read -r _ <&3
    kill "$k6" 2>/dev/null
} &
waiter=$!
wait "$k6"
code=$?
kill "$waiter" 2>/dev/null
workspace=$PWD
cd .. && rm -rf -- "$workspace"
exit "$code"
