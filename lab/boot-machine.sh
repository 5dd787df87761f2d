# The first process of a machine made of namespaces, until it becomes tini, which reaps the orphans.
#   boot-machine.sh HOSTNAME DISK      DISK may be empty: then the machine has none
# Prints its process id as the real machine knows it, once all mounts are in place: /proc/self is read before the new
# /proc is mounted. `-n` keeps mount from writing down in the real /run what concerns this machine alone.
set -eu
read -r pid rest < /proc/self/stat
mount -n -t proc proc /proc
# Namespaces that are mounted under the real /run would live as long as this machine's copies of their mounts.
copies=$(while read -r _ _ _ _ where _; do case $where in /run/?*) echo "$where" ;; esac; done < /proc/self/mountinfo)
[ -z "$copies" ] || umount -n -l $copies 2>/dev/null || :
mount -n -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/cgroup
# /sys/class/net must show this machine's links; the control groups stay the real machine's.
mount -n --rbind /sys/fs/cgroup /run/cgroup
mount -n -t sysfs sysfs /sys
mount -n --move /run/cgroup /sys/fs/cgroup
rmdir /run/cgroup
if [ -n "$2" ]; then
  # Volatile: pulling the plug must not wait until the real disk has all. The mark that it leaves would forbid the next boot.
  rm -rf "$2/etc-work/work/incompat" "$2/var-lib-work/work/incompat"
  mount -n -t overlay -o "volatile,lowerdir=/etc,upperdir=$2/etc,workdir=$2/etc-work" overlay /etc
  mount -n -t overlay -o "volatile,lowerdir=/var/lib,upperdir=$2/var-lib,workdir=$2/var-lib-work" overlay /var/lib
  mkdir -p /etc/netns
fi
hostname "$1"
echo "$pid"
exec </dev/null >/dev/null 2>&1
exec tini -- sleep infinity
