#!/bin/sh
# Becomes k6. The pid is written before the look at "stopped", and stop.sh does the reverse: whichever
# comes second sees the first, so that no stop is lost between two instructions.
# shellcheck source=dfaas_lab/k6/alive.sh
. ./alive.sh
# What nobody could end must not begin.
note pid $$ || {
    echo "k6 is not started: its pid cannot be written" >&2
    exit 74
}
[ ! -d stopped ] || exit 105
# shellcheck source=/dev/null
. ./conf
# shellcheck disable=SC2086 # k6_options holds plain words
set -f
if [ -n "$folder" ]; then
    # What a script writes by a name of its own must be none of ours. k6 makes no folders.
    { mkdir -p "$folder" && while read -r one; do mkdir -p "$folder/$one"; done <folders &&
        cd "$folder"; } || exit 74
fi
# shellcheck disable=SC2086
set -- "$k6_path" run --no-color --no-usage-report --address "" \
    --out csv=fileName=${base}samples.csv,timeFormat=unix_nano $k6_options "$base$script"
# An authority that this host does not trust: Go reads it beside the folders of the system's.
[ ! -f "${base}ca.pem" ] || export SSL_CERT_FILE="$PWD/${base}ca.pem"
# What a script of the user's own finds in __ENV; nothing of ours is read after this.
# shellcheck source=/dev/null
[ ! -f "${base}env" ] || . "./${base}env"
exec "$@"
