# Says how k6 comes to this host, from what look.sh found there and from what is wanted; refuses what
# would not work. Set by the caller, besides what look.sh needs: source, version, folder (wanted, or
# empty), tuning (true or false), and the k6 of the machine that Ansible runs on, or nothing:
# own_version, own_machine.
refuse() { echo "$1" >&2; exit 1; }
needs_root() { refuse "$1 needs root or sudo, and $found_user may not use sudo without a password."; }

case "$found_root_is" in
  absent) is= ;;
  folder) case "$found_root_uid" in
    0 | "$found_uid") is= ;;
    *) is="a folder of another user (uid $found_root_uid)" ;;
  esac ;;
  symlink) is='a symbolic link' ;;
  *) is='no folder' ;;
esac
[ -z "$is" ] ||
  refuse "The workspace root $root is $is: it must be a folder of root or of $found_user, or not be there."

fits=no
[ -n "$own_version" ] && [ "$own_version/$own_machine" = "$version/$found_machine" ] && fits=yes
if [ "$source" = auto ]; then
  if [ $fits = yes ]; then source=copy; else source=release; fi
fi

base=/opt/dfaas-lab
link=/usr/local/bin/k6
if [ -n "$folder" ]; then base=$folder link=
elif [ $privileged = false ]; then base=$found_home/.local/share/dfaas-lab link=$found_home/.local/bin/k6
fi
k6=$base/k6-$version/k6

case "$source" in
  copy)
    wanted="the generator needs v$version for $found_machine."
    [ -n "$own_version" ] || refuse "This machine has no k6 to copy; $wanted"
    [ $fits = yes ] || refuse "The k6 of this machine is v$own_version for $own_machine; $wanted" ;;
  apt)
    [ $privileged = true ] || needs_root k6_source=apt
    k6=/usr/bin/k6 link= ;;
  present)
    k6=$found_path_k6 link=
    [ -n "$k6" ] ||
      refuse "There is no k6 on the PATH of $found_user, and k6_source=present installs nothing." ;;
esac
[ "$tuning" = false ] || [ $privileged = true ] || needs_root k6_tuning

say source "$source"
say k6_base "$base"
say k6_path "$k6"
say k6_link "$link"
say k6_sum "$([ ! -f "$k6" ] || sha256sum < "$k6" | cut -d' ' -f1)"
