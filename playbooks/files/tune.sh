# More ports and open files, for high rates; says `changed` where they are new. Needs changes.sh.
set -e
umask 022
settings='net.ipv4.ip_local_port_range = 1024 65535
net.ipv4.tcp_tw_reuse = 1
net.core.somaxconn = 65535'

holds /etc/sysctl.d/60-dfaas-lab.conf "# k6 opens a connection for each virtual user, and each takes a port and a file.
$settings"
holds /etc/security/limits.d/60-dfaas-lab.conf '* soft nofile 65536
* hard nofile 1048576'

# Asked each time: what could not be set the last time is not forgotten.
printf '%s\n' "$settings" | while read -r name _ value; do
  now_is=$(sysctl -e -n "$name" | tr '\t' ' ')
  [ -z "$now_is" ] || [ "$now_is" = "$value" ] || now sysctl -q -w "$name=$value"
done
