# What changes a host goes through these, so that a trial (check: true) says `changed` and does nothing.
now() { echo changed; [ "$check" = true ] || "$@"; }
gone() {
  for path; do
    if [ -e "$path" ] || [ -L "$path" ]; then now rm -rf -- "$path"; fi
  done
}
# PATH TEXT: a file with that text.
holds() {
  [ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 0
  echo changed
  [ "$check" = true ] || { printf '%s\n' "$2" > "$1" && chmod 644 "$1"; }
}
