# Purges the packages of a list but those that something else came to need. Needs changes.sh.
# purge LIST
purge() {
  [ -e "$1" ] || return 0
  ours=' '
  for package in $(cat "$1"); do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
      '' | not-installed) ;;
      *) ours="$ours$package " ;;
    esac
  done
  take=$ours
  only_ours $ours || {
    take=
    for package in $ours; do if only_ours "$package"; then take="$take $package"; fi; done
  }
  [ -z "${take# }" ] || now apt_purge $take
  gone "$1"
}
# Whether nothing goes with them but what is ours.
only_ours() {
  for each in $(LC_ALL=C apt-get -s purge "$@" | sed -n 's/^\(Remv\|Purg\) \([^ ]*\).*/\2/p'); do
    case "$ours" in *" $each "*) ;; *) return 1 ;; esac
  done
}
apt_purge() {
  LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=2 purge "$@" >&2
}
