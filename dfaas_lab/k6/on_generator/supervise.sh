#!/bin/sh
# Runs k6 in the workspaces named, in order, and owns their time limit and lease. One state machine
# per workspace, on disk, so that any controller can find out what happened:
#   conf (sent) -> started -> pid -> exit        and  stopped/ (who asked k6 to end, and why)
# exit holds "CODE", "CODE full" where the disk had no room left, or "skipped".
# usage: supervise.sh ID...   in the first of these folders. POSIX sh; needs Linux's /proc.
set -u
LC_ALL=C
export LC_ALL

files='' # read from /proc, for $(ulimit -n) is a process
while read -r _ word _ soft hard _; do
    case $word in open) ulimit -n "$hard" 2>/dev/null && files=$hard || files=$soft ;; esac
done </proc/$$/limits
while read -r key memory _; do
    case $key in MemTotal:) break ;; esac
done </proc/meminfo

# shellcheck source=dfaas_lab/k6/alive.sh
. ./alive.sh

now() { # the monotonic clock, in seconds and hundredths, without starting a process
    read -r up _ </proc/uptime
    now=${up%.*}
    now_cs=$now${up#*.}
}

throttling() { # k6's control groups that say how long they were kept from a processor
    throttled_by=''
    # shellcheck disable=SC2013 # one word a line
    for line in $(while IFS=: read -r _ kind path; do
        case ,$kind, in ,,) echo "$path" ;; *,cpu,*) echo "/$kind$path" ;; esac
    done <"/proc/$k6/cgroup"); do
        while [ -n "$line" ]; do
            line=${line%/}
            [ ! -r "/sys/fs/cgroup$line/cpu.stat" ] ||
                throttled_by="$throttled_by /sys/fs/cgroup$line/cpu.stat"
            case $line in */*) line=${line%/*} ;; *) break ;; esac
        done
    done
}

starved() { # nanoseconds that k6 waited for a processor, and microseconds it was throttled
    waited_ns='' throttled_us=''
    [ -n "$k6" ] || return 0
    [ -n "${throttled_by+x}" ] || throttling
    for file in "/proc/$k6/task"/*/schedstat; do
        { read -r _ ns _ <"$file"; } 2>/dev/null && waited_ns=$((${waited_ns:-0} + ns))
    done
    for file in $throttled_by; do
        while read -r key value; do
            case $key in
                throttled_usec) us=$value ;;
                throttled_time) us=$((value / 1000)) ;;
                *) continue ;;
            esac
            [ "$us" -le "${throttled_us:--1}" ] || throttled_us=$us
        done <"$file"
    done
}

observe() { # one line of host.csv: what the generator itself is doing
    starved 2>/dev/null
    read -r up _ </proc/uptime
    cores=''
    while read -r name u n s i w q sq st _; do
        case $name in
            cpu) user=$u nice=$n system=$s idle=$i iowait=$w irq=$q softirq=$sq steal=$st ;;
            cpu*) cores="$cores $((u + n + s + q + sq + st))/$((i + w))" ;;
            *) break ;;
        esac
    done </proc/stat
    while read -r key value _; do
        case $key in MemAvailable:) available=$value && break ;; esac
    done </proc/meminfo
    set -- "/proc/${k6:-none}/fd"/*
    busy=$((user + nice + system + irq + softirq + steal))
    echo "$up,$busy,$((idle + iowait)),$available,$#,$files,$memory,$waited_ns,$throttled_us,$steal,${cores# }" \
        >>host.csv
}

left() { # hundredths of a second that are left of the lease
    left_cs=100
    [ "$lease" -gt 0 ] || return 0
    word beat
    heard_cs=${word%.*}${word#*.}
    [ "${heard_cs:-0}" -gt "$began_cs" ] || heard_cs=$began_cs
    # A little less: what is looked at five times a second is not seen at once.
    left_cs=$((heard_cs + lease * 100 - 30 - now_cs))
}

watch() { # every second: look at the host, the limit and the lease
    k6='' asked='' sleeper='' nap=1
    trap 'kill "$sleeper" 2>/dev/null; exit 0' TERM
    while :; do
        sleep "$nap" &
        sleeper=$!
        wait "$sleeper"
        [ -n "$k6" ] || { word pid && k6=$word; }
        if [ -z "$k6" ] || ! kill -0 "$k6" 2>/dev/null; then
            # A number that is free may be given to a process that is none of ours.
            kill -0 "$supervisor" 2>/dev/null || exit 0
            continue
        fi
        observe 2>/dev/null
        now
        left
        if [ -d stopped ]; then
            [ -n "$asked" ] || asked=$now
            if [ $((now - asked)) -ge "$grace" ] || [ "$left_cs" -le 0 ]; then
                # Not ":", which ends the shell where this cannot be written.
                true 2>/dev/null >stopped/killed
                kill -KILL "$k6" 2>/dev/null
            fi
        else
            kill -0 "$supervisor" 2>/dev/null || sh ./stop.sh supervisor
            [ "$now" -lt "$deadline" ] || sh ./stop.sh timeout
            [ "$lease" -eq 0 ] || left_cs=$((left_cs - lease_grace * 100))
            # Not waited for: it may take two seconds, which the lease does not have.
            if [ "$left_cs" -le 0 ]; then sh ./stop.sh lease & fi
        fi
        nap=1
        [ "$left_cs" -ge 100 ] || nap=0.2
    done
}

pause() { # the rest before this workspace's turn; a stop ends it
    now
    until_s=$((now + rest))
    while [ ! -d stopped ] && [ "$now" -lt "$until_s" ]; do
        sleep 1
        now
    done
}

collect() { # what the script wrote elsewhere, by the absolute names in its text
    [ -f absolute ] || return 0
    while IFS= read -r name; do
        # Only what is ours and new: somebody else's file of that name is none of its results.
        [ -n "$(find -L "$name" -prune -type f -newer started -user "$(id -u)")" ] || continue
        copy=written/root$name
        mkdir -p "${copy%/*}" || continue
        size=$(stat -L -c %s "$name") || continue
        # One that is too large to be kept has a hole of its size here: it is told by name.
        if [ "$size" -le 200000000 ]; then cp "$name" "$copy"; else truncate -s "$size" "$copy"; fi
    done <absolute
}

iteration() {
    # shellcheck source=/dev/null
    . ./conf # id k6_path grace limit lease lease_grace rest (quoted by the sender)
    supervisor=$$
    [ "$rest" -eq 0 ] || pause
    now
    deadline=$((now + limit)) began_cs=$now_cs
    date +%s.%N >began & # beside what follows: a process costs k6 a millisecond
    printf '%-20s\n' "$up" 2>/dev/null 1<>started
    unset throttled_by
    k6='' observe
    watch &
    watcher=$!
    # A clean environment: K6_* or proxy variables of the host would change the load unseen.
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$PWD" \
        K6_AUTO_EXTENSION_RESOLUTION=false sh ./launch.sh </dev/null >>journal 2>&1
    code=$?
    kill "$watcher" 2>/dev/null
    k6='' observe 2>/dev/null
    echo "$up" 2>/dev/null >ended
    collect 2>/dev/null
    # k6 goes on without a word when it cannot write its samples: is there room for one page?
    full=''
    { printf '%4096s' '' >room && [ -s room ]; } 2>/dev/null || full=full
    true 2>/dev/null >room
    # Written in place: a full disk has no room for a new block, and this line must not be lost.
    printf '%-8s\n' "$code $full" 1<>exit
    reason='-' killed='-'
    [ ! -f stopped/reason ] || read -r reason <stopped/reason
    [ ! -f stopped/killed ] || killed=killed
    printf '\n@%s ended %s %s %s %s\n' "$id" "$code" "$reason" "$killed" "${full:--}" \
        2>/dev/null >>journal
    # A disk that is full fails the next one as well.
    [ -z "$full" ] || return 1
    return "$code"
}

for workspace; do
    note "../$workspace/supervisor" $$
done
failed=0
for workspace; do
    cd "../$workspace" 2>/dev/null || exit 1
    if [ "$failed" -ne 0 ]; then
        printf '%-8s\n' skipped 1<>exit
        continue
    fi
    iteration
    case $? in 0 | 99 | 101 | 110) [ ! -d stopped ] || failed=1 ;; *) failed=1 ;; esac
done
