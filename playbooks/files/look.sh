# Says what a host has, one name=value per line, and keeps it as found_name; changes nothing. Needs a
# shell, not Python. Set by the caller: root (the workspace root), become (true or false), password
# (true where sudo is given one).
say() { printf '%s=%s\n' "$1" "$2"; eval "found_$1=\$2"; }
there() { if [ -L "$1" ]; then readlink "$1"; elif [ -e "$1" ]; then echo other; fi; }

say user "$(id -un)"
say uid "$(id -u)"
say home "$HOME"
say machine "$(uname -m)"
sudo=no
if [ "$(id -u)" = 0 ]; then sudo=yes
elif [ "$become" = true ] && sudo -n true 2>/dev/null; then sudo=yes
fi
say sudo "$sudo"
privileged=false
if [ "$become" = true ] && { [ $sudo = yes ] || [ "$password" = true ]; }; then privileged=true; fi
say privileged $privileged

if [ -L "$root" ]; then say root_is symlink
elif [ -d "$root" ]; then say root_is folder
elif [ -e "$root" ]; then say root_is other
else say root_is absent
fi
say root_uid "$(stat -c %u "$root" 2>/dev/null)"
say root_mode "$(stat -c %a "$root" 2>/dev/null)"
workspace='[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
say root_holds "$(ls -A "$root" 2>&1 | grep -vE "^($workspace|\.provisioned-.*|\.dfaas-lab)\$" | head -n 1)"
say marker "$(tr -d '\n' 2>/dev/null < "$root/.provisioned-$(id -un).json")"

# Who else uses what is installed for all users: those with a marker here, or with another root.
say role "generator-$(id -un)-$(printf %s "$root" | tr / ,)"
say others "$(ls -A "$root" 2>/dev/null | grep '^\.provisioned-.*\.json$' |
  grep -vxF ".provisioned-$(id -un).json" | tr '\n' ' ')$(
  ls -A /opt/dfaas-lab/used-by 2>/dev/null | grep -vxF "$found_role" | tr '\n' ' ')"
k6=$(PATH="$PATH:/usr/local/bin:$HOME/.local/bin" command -v k6)
say path_k6 "$k6"
say link_root "$(there /usr/local/bin/k6)"
say link_home "$(there "$HOME/.local/bin/k6")"
say packages "$(dpkg-query -W -f '${db:Status-Status}/${Package} ${db:Status-Status}/${Package}=${Version} ' \
  k6 prometheus prometheus-node-exporter 2>/dev/null)"
say target_marker "$(tr -d '\n' 2>/dev/null < /opt/dfaas-lab/target.json)"
