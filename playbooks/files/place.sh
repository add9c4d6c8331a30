# Makes the root of the workspaces, links k6 into the PATH, and writes down who uses it; says `changed`
# where it does. Needs changes.sh. Set by the caller: root, link (a path, or empty), k6 (its path),
# own (the folder of all our k6), stamp (a file that says that the folder is ours, or empty), used_by
# (a name, or empty).
set -e
umask 022

if [ -L "$root" ]; then echo "$root is a symbolic link" >&2; exit 1; fi
if [ ! -e "$root" ]; then
  [ "$check" = true ] || mkdir -p "$(dirname "$root")"
  now mkdir -m 1777 "$root"  # not -p: what someone else puts there meanwhile is refused
  [ "$check" = true ] || : > "$root/.dfaas-lab"  # teardown removes what we made
elif [ "$(stat -c %a "$root")" != 1777 ]; then
  now chmod 1777 "$root"
fi

for file in "$stamp" "${used_by:+/opt/dfaas-lab/used-by/$used_by}"; do
  if [ -n "$file" ] && [ ! -e "$file" ]; then
    [ "$check" = true ] || mkdir -p "$(dirname "$file")"
    now touch "$file"
  fi
done

[ -n "$link" ] || exit 0
if [ ! -e "$link" ] && [ ! -L "$link" ]; then
  [ "$check" = true ] || mkdir -p "$(dirname "$link")"
  now ln -s "$k6" "$link"
elif [ -L "$link" ] && [ "$(readlink "$link")" != "$k6" ]; then
  # What someone else put there stays.
  case "$(readlink "$link")" in "$own"/*) now ln -sfn "$k6" "$link" ;; esac
fi
