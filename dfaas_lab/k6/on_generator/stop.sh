#!/bin/sh
# Asks k6 in this workspace to end: one signal, whoever asks first. usage: stop.sh REASON
# A rename needs no room on a full disk, and fails where somebody was first.
mv -T spare stopped 2>/dev/null || exit 0
printf '%-20s\n' "$1" 1<>stopped/reason
# shellcheck source=dfaas_lab/k6/alive.sh
. ./alive.sh
# Started, but its pid not yet written: a matter of milliseconds.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    word started || break
    ! word pid || break
    sleep 0.1
done

listens() { # whether k6 handles SIGINT by now; until then a job in the background ignores it
    while read -r key mask; do
        case $key in SigCgt:) case $mask in *[2367abef]) return 0 ;; *) return 1 ;; esac ;; esac
    done <"/proc/$k6/status"
    return 1
}

if [ ! -s ended ] && alive pid; then
    k6=$pid
    signal=TERM # it ends whoever is not k6 yet, and k6 too
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        listens 2>/dev/null && signal=INT && break
        kill -0 "$k6" 2>/dev/null || break
        sleep 0.1
    done
    kill -"$signal" "$k6" 2>/dev/null
fi
read -r id <id
printf "\n@%s stopping %s\n" "$id" "$1" >>journal
