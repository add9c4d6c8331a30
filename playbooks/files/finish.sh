# Asks k6 for its version and leaves the marker; says `changed` where it is new.
# Set by the caller: root, k6 (its path), version (wanted, or empty), check (true: only say it), and
# as JSON texts k6_json, source_json, digest_json.
if [ "$check" = true ] && [ ! -x "$k6" ]; then echo changed; exit 0; fi
says=$("$k6" version 2>&1)
code=$?
got=$(printf '%s\n' "$says" | sed -n '1s/^k6[^ ]* v\([0-9A-Za-z.+-]*\).*/\1/p')
if [ $code != 0 ] || [ -z "$got" ] || [ "${version:-$got}" != "$got" ]; then
  echo "$k6 should be k6 ${version:+v$version}, but 'k6 version' says (exit code $code): $says" >&2
  exit 1
fi

marker="$root/.provisioned-$(id -un).json"
new=$(printf '{"format": 1, "k6_path": %s, "k6_source": %s, "k6_version": "%s", "playbook_digest": %s' \
  "$k6_json" "$source_json" "$got" "$digest_json")
case "$(cat "$marker" 2>/dev/null)" in "$new, "*) exit 0 ;; esac  # the same but for its time
echo changed
[ "$check" = true ] && exit 0
set -e
beside=$(mktemp "$root/.provisioned-XXXXXX")
trap 'rm -f "$beside"' EXIT
printf '%s, "provisioned_at": "%s"}\n' "$new" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$beside"
chmod 644 "$beside"
mv -f "$beside" "$marker"
