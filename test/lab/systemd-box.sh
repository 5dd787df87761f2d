# Boots a systemd of its own, as process 1 of what looks like a machine: own root (an overlay whose changes are lost), own
# devices, /run and control groups, and the agent's program installed. Run as process 1 of new namespaces:
#   unshare --net --mount --pid --uts --ipc --cgroup --fork sh systemd-box.sh AGENT
# What would reach beyond the namespaces (kernel parameters, modules, binary formats, devices) is masked.
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
root=/mnt/root
cp "$1" $root/usr/local/bin/sluice-agent

mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/dev
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<END
$device
END
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir $root/dev/shm $root/dev/pts
mount -t tmpfs tmpfs $root/dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
mount -t tmpfs -o mode=755 tmpfs $root/run
mount -t tmpfs tmpfs $root/tmp

rm -rf $root/etc/systemd/system $root/etc/machine-id $root/var/log/journal
mkdir -p $root/etc/systemd/system
echo 0123456789abcdef0123456789abcdef > $root/etc/machine-id
for unit in systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service systemd-udevd.service \
  systemd-udev-trigger.service systemd-remount-fs.service systemd-tmpfiles-setup-dev.service systemd-networkd.service \
  proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount dev-hugepages.mount dev-mqueue.mount \
  sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-journald-audit.socket \
  tmp.mount getty.target; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done
hostname host-1
ip link set lo up
cd /
exec env -i container=sluice-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  chroot $root /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal
