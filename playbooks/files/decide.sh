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
if [ -z "$is" ] && [ "$found_root_is" = folder ] && [ "$found_root_mode" != 1777 ] &&
  [ -n "$found_root_holds" ]; then
  is="a folder that holds other things ($found_root_holds), and would be opened to all users"
fi
[ -z "$is" ] ||
  refuse "The workspace root $root is $is: it must be an empty folder of root or of $found_user, or not be there."

case "$version" in
  v*) refuse "k6_version is $version: give it without the v." ;;
esac
fits=no
[ -n "$own_version" ] && [ "$own_version/$own_machine" = "$version/$found_machine" ] && fits=yes
if [ "$source" = auto ]; then
  if [ $fits = yes ]; then source=copy; else source=release; fi
fi

base=/opt/dfaas-lab
link=/usr/local/bin/k6
role=$found_role
stamp=
if [ -n "$folder" ]; then base=$folder link= role='' stamp=$folder/k6-$version/.dfaas-lab
elif [ $privileged = false ]; then base=$found_home/.local/share/dfaas-lab link=$found_home/.local/bin/k6 role=
fi
k6=$base/k6-$version/k6

case "$source" in
  copy)
    wanted="the generator needs v$version for $found_machine."
    [ -n "$own_version" ] || refuse "This machine has no k6 to copy; $wanted"
    [ $fits = yes ] || refuse "The k6 of this machine is v$own_version for $own_machine; $wanted" ;;
  apt)
    [ $privileged = true ] || needs_root k6_source=apt
    base=/opt/dfaas-lab k6=/usr/bin/k6 link= role=$found_role stamp= ;;
  present)
    k6=$found_path_k6 link= role='' stamp=
    [ -n "$k6" ] ||
      refuse "There is no k6 on the PATH of $found_user, and k6_source=present installs nothing." ;;
esac
if [ "$tuning" = true ]; then
  [ $privileged = true ] || needs_root k6_tuning
  role=$found_role
fi

say source "$source"
say k6_base "$base"
say k6_path "$k6"
say k6_link "$link"
say k6_stamp "$stamp"
say used_by "$role"
say k6_sum "$([ ! -f "$k6" ] || sha256sum < "$k6" | cut -d' ' -f1)"
