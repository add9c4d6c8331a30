# Removes what is the login user's alone: the workspaces, the marker, k6 in the home. Needs look.sh and
# changes.sh. Set by the caller: folder (of k6, chosen, or empty).
set -e
if [ "$found_root_is" = folder ]; then
  for path in "$root"/*-*-*-*-*; do
    if [ -O "$path" ] && [ -d "$path" ] && [ ! -L "$path" ] &&
      printf %s "${path##*/}" | grep -qxE "$workspace"; then gone "$path"; fi
  done
  gone "$root/.provisioned-$found_user.json"
fi
if [ -z "$folder" ]; then
  case "$found_link_home" in "$HOME/.local/share/dfaas-lab"/*) gone "$HOME/.local/bin/k6" ;; esac
  gone "$HOME/.local/share/dfaas-lab"
fi
