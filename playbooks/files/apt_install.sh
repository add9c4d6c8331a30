# Installs packages, and writes down beforehand which of them are new, so that an interrupt loses
# nothing of it. Set by the caller: wanted (packages), list (the file for the new ones).
set -e
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=2 -o Acquire::Retries=2 --no-install-recommends \
    --allow-downgrades "$@"
}

dpkg --configure -a  # what an interrupt left half done
apt update
new=$(apt -s install $wanted | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')  # an upgrade has [old] there
mkdir -p -m 755 "$(dirname "$list")"
{ cat "$list" 2>/dev/null || :; printf '%s\n' $new; } | sort -u > "$list.new"
mv -f "$list.new" "$list"
apt install $wanted
echo changed
