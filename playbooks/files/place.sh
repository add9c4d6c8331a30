# Makes the root of the workspaces and links k6 into the PATH; says `changed` where it does.
# Set by the caller: root, link (a path, or empty), k6 (its path), own (the folder of all our k6),
# check (true: only say it).
set -e
now() { echo changed; [ "$check" = true ] || "$@"; }

if [ -L "$root" ]; then echo "$root is a symbolic link" >&2; exit 1; fi
if [ ! -e "$root" ]; then
  [ "$check" = true ] || mkdir -p "$(dirname "$root")"
  now mkdir -m 1777 "$root"  # not -p: what someone else puts there meanwhile is refused
elif [ "$(stat -c %a "$root")" != 1777 ]; then
  now chmod 1777 "$root"
fi

[ -n "$link" ] || exit 0
if [ ! -e "$link" ] && [ ! -L "$link" ]; then
  [ "$check" = true ] || mkdir -p "$(dirname "$link")"
  now ln -s "$k6" "$link"
elif [ -L "$link" ] && [ "$(readlink "$link")" != "$k6" ]; then
  # What someone else put there stays.
  case "$(readlink "$link")" in "$own"/*) now ln -sfn "$k6" "$link" ;; esac
fi
