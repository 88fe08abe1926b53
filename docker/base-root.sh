#!/bin/sh
# Assembles the root file system of weir/base in the folder $1: the C library, busybox, tini, certificates, users. Runs
# in Debian, as a stage of docker/base.Dockerfile. Files are taken out of Debian's signed packages, because an installed
# package may lack its licence: slim images omit documentation.
set -eu
root=$1
packages=$(mktemp -d)

# /bin and so on are links to the same folders of /usr, as in Debian. Jobs of cron use both.
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d" \
    "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/root" "$root/srv/weir"
ln -s usr/bin usr/lib usr/lib64 "$root"
ln -s usr/bin "$root/sbin"
ln -s bin "$root/usr/sbin"
ln -s ../run "$root/var/run"
chmod 700 "$root/root"
chmod 1777 "$root/tmp"

# `take PACKAGE PATTERN…`: the files of a package. Its entry in status.d tells scanners its name and version.
take() {
    package=$1
    shift
    (cd "$packages" && apt-get download --quiet --quiet --option APT::Sandbox::User=root "$package")
    for file in "$packages/${package}"_*.deb; do
        dpkg-deb --field "$file" >"$root/var/lib/dpkg/status.d/$package"
        dpkg-deb --fsys-tarfile "$file" |
            tar --extract --directory "$root" --keep-directory-symlink --wildcards "$@"
    done
}

apt-get update --quiet --quiet
take busybox-static './*bin/busybox' ./usr/share/doc/busybox-static/copyright
take tini './*bin/tini' ./usr/share/doc/tini/copyright
# The last three are empty since glibc 2.34. Programs that were linked with an older one load them.
take libc6 './lib*/ld-linux*' './*/libc.so.6' './*/libm.so.6' './*/libdl.so.2' './*/libpthread.so.0' './*/librt.so.1' \
    ./usr/share/doc/libc6/copyright
# Its documentation is a link to that of gcc-12-base.
take libgcc-s1 './*/libgcc_s.so.1' ./usr/share/doc/libgcc-s1
gcc_base=$(readlink "$root/usr/share/doc/libgcc-s1")
take "$gcc_base" "./usr/share/doc/$gcc_base/copyright"
take ca-certificates './usr/share/ca-certificates/mozilla/*' ./usr/share/doc/ca-certificates/copyright
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
rm -r "$root/usr/share/ca-certificates"
# The texts of the licences that the files above name.
cp -r /usr/share/common-licenses "$root/usr/share/"
cp -L /etc/os-release "$root/etc/"

# Package managers are of no use here.
"$root/usr/bin/busybox" --list | grep -v -x -E 'busybox|dpkg|dpkg-deb|rpm|rpm2cpio' | while read -r applet; do
    ln -s busybox "$root/usr/bin/$applet"
done

# Nobody can log in.
cat >"$root/etc/passwd" <<'PASSWD'
root:*:0:0:root:/root:/bin/sh
weir:*:10001:10001:weir:/srv/weir:/bin/sh
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
PASSWD
cat >"$root/etc/group" <<'GROUP'
root:*:0:
weir:*:10001:
nogroup:*:65534:
GROUP
# Without this file names in /etc/hosts would be asked of the name server first.
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
rm -r "$packages"
