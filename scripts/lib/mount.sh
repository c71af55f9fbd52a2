# shellcheck shell=bash disable=SC2154
# Sourced by install_node.sh (which defines as_root and can_be_root): one file system that the nodes share, kept in /etc/fstab.

MOUNT_SECONDS=150 # mount.nfs gives a silent server two minutes

# check_mount_request SOURCE POINT TYPE OPTIONS: refuses what cannot be one line of fstab.
check_mount_request() {
    local word
    [[ -n $1 && -n $2 && -n $3 ]] || refuse "--mount-source, --mount-point and --mount-type go together"
    for word in "$@"; do
        [[ -n $word && $word != *[[:space:]\\\#]* && $word != -* ]] || refuse "'$word' cannot stand in /etc/fstab: no spaces, # or \\"
    done
    [[ $2 == /?* && /$2/ != */../* && /$2/ != */./* && $2 != *// ]] || refuse "the mount point must be an absolute path, got $2"
}

# ensure_mount SOURCE POINT TYPE OPTIONS: its line is in fstab, it is mounted, and this user can write to it.
ensure_mount() {
    local source=$1 point=${2%/} type=$3 options=$4,nofail,x-byzshield line old
    case $type in
        nfs*) install_packages_for_nfs && options+=,_netdev ;;
        cifs | smb3 | ceph | glusterfs | lustre | beegfs | efs | 9p | fuse.*) options+=,_netdev ;;
    esac
    line="$source $point $type $options 0 0"
    [[ -r /etc/fstab ]] || fail "this system has no /etc/fstab; mount $source on $point by its own means"
    # Mount options that begin with x- are comments: ours is how a later call finds its line.
    old=$(awk '!/^[ \t]*#/ && $4 ~ /(^|,)x-byzshield(,|$)/' /etc/fstab)
    if [[ $old == "$line" && -n $(mounted_on "$point") || -z $old && $(mounted_on "$point") == "$source" ]]; then
        echo "$source is mounted on $point."
        return
    fi
    can_be_root || fail "mounting needs root; allow $USER passwordless sudo, or have an administrator mount $source on $point"
    free_mount_point "$point" "$old"
    as_root mkdir -p "$point"
    [[ -z $(ls -A "$point") ]] || fail "$point holds files that the mount would hide; move them away first"
    if [[ $old != "$line" ]]; then
        write_fstab "$line"
    fi
    echo "Mounting $source on $point ..."
    as_root timeout --kill-after=10 "$MOUNT_SECONDS" mount "$point" ||
        fail "$source does not mount on $point within $MOUNT_SECONDS s; are its name, its options and its firewall right?"
    [[ -n $(mounted_on "$point") ]] || fail "mount said nothing, but $point is no mount point"
    [[ ,$options, == *,ro,* ]] || give_if_new "$point"
}

# mounted_on POINT: prints what is mounted there, if anything is. With a time limit, because findmnt hangs when a file server is gone.
mounted_on() { timeout --kill-after=5 20 findmnt --noheadings --first-only --output SOURCE --mountpoint "$1" || true; }

install_packages_for_nfs() {
    [[ -n $(type -P mount.nfs || PATH=/sbin:/usr/sbin type -P mount.nfs) ]] || install_packages nfs-common
}

# free_mount_point POINT OLD_LINE: unmounts what our own older line mounted, and nothing else.
free_mount_point() {
    local point=$1 old_point
    old_point=$(awk '{ print $2 }' <<<"$2")
    if awk -v point="$point" '!/^[ \t]*#/ && $2 == point && $4 !~ /(^|,)x-byzshield(,|$)/ { found = 1 } END { exit !found }' /etc/fstab; then
        fail "/etc/fstab mounts something else on $point; remove that line, or leave the mount out here"
    fi
    if [[ -n $old_point ]] && [[ -n $(mounted_on "$old_point") ]]; then
        as_root umount "$old_point" || fail "$old_point is in use ('fuser -vm $old_point' says by whom); end that first"
    fi
    [[ -z $(mounted_on "$point") ]] || fail "something that this script did not mount is on $point; unmount it first"
}

# write_fstab LINE: in place of our older line, all at once.
write_fstab() {
    as_root cp --preserve /etc/fstab /etc/fstab.byzshield
    { awk '/^[ \t]*#/ || $4 !~ /(^|,)x-byzshield(,|$)/' /etc/fstab && printf '%s\n' "$1"; } |
        as_root tee /etc/fstab.byzshield >/dev/null
    as_root mv /etc/fstab.byzshield /etc/fstab
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl daemon-reload
    fi
}

# give_if_new POINT: a file system that nobody has used belongs to root; the user who trains needs it.
give_if_new() {
    if [[ -w $1 ]]; then
        return
    fi
    if [[ -z $(find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit) ]] && as_root chown "$(id -u):$(id -g)" "$1"; then
        return
    fi
    echo "$program: note: $USER cannot write to $1; its owner is $(stat --format %U "$1")" >&2
}
