# Puts k6 where it belongs, whole or not at all. Set by the caller: k6 (its path). $0 is the file, and
# the arguments are the rest of its name: Ansible does not quote it where a home has blanks.
set -e
file=$0${1:+ $*}
mkdir -p "$(dirname "$k6")"
beside=$k6.$$
trap 'rm -f "$beside"' EXIT
mv "$file" "$beside"  # a copy where /opt is another disk
[ "$(id -u)" != 0 ] || chown 0:0 "$beside"
chmod 755 "$beside"
mv -f "$beside" "$k6"
