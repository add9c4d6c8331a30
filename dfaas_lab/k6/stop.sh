#!/bin/sh
# Asks k6 in this workspace to end: one SIGINT, whoever asks first. usage: stop.sh REASON
mkdir stopped 2>/dev/null || exit 0
echo "$1" >stopped/reason
k6=''
# Started, but its pid not yet written: a matter of milliseconds.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -s started ] || break
    read -r k6 2>/dev/null <pid && break
    sleep 0.1
done
[ -z "$k6" ] || [ -s ended ] || kill -INT "$k6" 2>/dev/null
read -r id <id
printf "\n@%s stopping %s\n" "$id" "$1" >>journal
