# shellcheck shell=sh
# Sourced by the others. A process is noted as "PID START" in a file: a PID alone may be another's
# after a reboot. All such files are there from the beginning, and written in place: a full disk has
# no room for a new block. No function here starts a process.

born() { # when a process began, in ticks since boot; fails where there is none, or only a zombie
    born=''
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # its name, which may hold blanks, is cut off
    set -- ${stat##*) }
    [ "$1" != Z ] && born=${20}
}

note() { # usage: note FILE PID
    born "$2"
    printf '%-31s\n' "$2 $born" 2>/dev/null 1<>"$1"
}

word() { # the first word of a file; fails where there is none yet
    word=''
    read -r word _ 2>/dev/null <"$1"
    [ -n "$word" ]
}

alive() { # whether the process that a file notes is there
    pid='' start=''
    read -r pid start 2>/dev/null <"$1"
    [ -n "$pid" ] && born "$pid" && [ "$born" = "${start:-$born}" ]
}
