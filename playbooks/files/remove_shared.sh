# Removes what was installed for all users, unless somebody else still uses it, and the workspace root
# once nothing is in it. Needs changes.sh and apt_remove.sh. Set by the caller: root, folder (of k6,
# chosen, or empty), privileged (true or false), role, others (both from look.sh), key (a file of APT).
set -e
base=/opt/dfaas-lab
if [ $privileged = true ]; then
  gone "$base/used-by/$role"
  if [ -z "$others" ]; then
    purge "$base/packages-k6"
    gone /etc/apt/sources.list.d/dfaas-lab-k6.sources "/etc/apt/keyrings/$key" \
      /etc/sysctl.d/60-dfaas-lab.conf /etc/security/limits.d/60-dfaas-lab.conf
    case "$(readlink /usr/local/bin/k6 || :)" in "$base"/*) gone /usr/local/bin/k6 ;; esac
    gone "$base"/k6-* "$base/used-by"
    [ "$check" = true ] || rmdir "$base" 2>/dev/null || :  # a target's things stay
  fi
fi
# Never the folder that was chosen, which may hold anything: only what we made in it.
if [ -n "$folder" ]; then
  for stamp in "$folder"/k6-*/.dfaas-lab; do
    if [ -e "$stamp" ]; then gone "$(dirname "$stamp")"; fi
  done
fi
if [ -e "$root/.dfaas-lab" ] && [ ! -L "$root" ] && [ "$(ls -A "$root")" = .dfaas-lab ]; then
  now rm -f "$root/.dfaas-lab"
  # Somebody's workspace may have come between.
  [ "$check" = true ] || rmdir "$root" 2>/dev/null || : > "$root/.dfaas-lab"
fi
