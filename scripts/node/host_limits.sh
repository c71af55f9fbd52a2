#!/usr/bin/env bash
# Ends this host when its hours are over, or when nobody has used it for long.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash scripts/node/host_limits.sh install USER FOLDER HOURS MINUTES
       bash scripts/node/host_limits.sh set USER FOLDER HOURS MINUTES
       bash scripts/node/host_limits.sh check

All as root; `install` is what an instance of the launcher does at its first start, before anybody logs in.

install   keeps a copy of this file in /usr/local/sbin, and has systemd run its `check` every minute
set       other limits from now on: HOURS since the start, MINUTES without use, 0 for none
check     when one of them is over: ends the job of USER's project in FOLDER (absolute, or relative to the home) after its step,
          with a checkpoint, and shuts this host down. EC2 then deletes it, or stops it, as it was told at the launch. Whether it is used,
          scripts/node/host_use.sh of the project says; before there is a project, it is not. A job is ended five minutes before
          its server's hours are over. At the end of the hours nothing is waited for.

ROOT stands in front of the system's folders (default: nothing).
EOT
}

ROOT=${ROOT:-}
LIMITS=$ROOT/etc/byzshield-host-limits
COPY=/usr/local/sbin/byzshield-host-limits
UNITS=$ROOT/etc/systemd/system
TO_STOP=300 # seconds that a job has for its end

set_limits() {
    [[ $# -eq 4 && $3 =~ ^[0-9]{1,5}$ && $4 =~ ^[0-9]{1,5}$ ]] || { usage >&2 && exit 2; }
    echo "$*" >"$LIMITS.new"
    mv "$LIMITS.new" "$LIMITS"
}

install_check() {
    mkdir -p "$ROOT${COPY%/*}" "$UNITS"
    [[ ${BASH_SOURCE[0]} -ef $ROOT$COPY ]] || install -m 755 "${BASH_SOURCE[0]}" "$ROOT$COPY"
    printf '%s\n' '[Unit]' 'Description=Ends this host when its limits are over' \
        '[Service]' 'Type=oneshot' "ExecStart=/bin/bash $COPY check" "TimeoutStartSec=$((2 * TO_STOP))" \
        >"$UNITS/byzshield-host-limits.service"
    printf '%s\n' '[Unit]' 'Description=Every minute: are the limits of this host over?' \
        '[Timer]' 'OnBootSec=60' 'OnUnitInactiveSec=60' '[Install]' 'WantedBy=timers.target' \
        >"$UNITS/byzshield-host-limits.timer"
    systemctl daemon-reload
    systemctl enable --now byzshield-host-limits.timer
}

# in_project COMMAND ...: as the user, in the project's folder, and not for longer than a job may take to end.
in_project() {
    local home
    home=$(getent passwd "$user" | cut -d : -f 6)
    [[ $folder == /* ]] || folder=$home/$folder
    # shellcheck disable=SC2016 # expanded by the shell of the user
    timeout --kill-after 10 "$TO_STOP" runuser -u "$user" -- bash -c 'cd -- "$1" && exec "${@:2}"' bash "$folder" "$@"
}

check() {
    local user folder hours minutes up used="" why
    read -r user folder hours minutes <"$LIMITS"
    up=$(awk '{ print int($1) }' "$ROOT/proc/uptime")
    if ((hours && up >= 3600 * hours)); then
        end "its $hours hours are over"
    fi
    used=$(in_project bash scripts/node/host_use.sh 2>/dev/null) || true
    [[ $used =~ ^(0|[1-9][0-9]{0,9})\ (running|none)$ ]] || used="$up none"
    # A disk that was stopped has older files than this start.
    ((${used% *} < up)) || used="$up ${used#* }"
    if [[ ${used#* } == running ]] && ((hours && up >= 3600 * hours - TO_STOP)); then
        why="its $hours hours are nearly over"
    elif ((minutes && ${used% *} >= 60 * minutes)); then
        why="nobody has used it for $minutes minutes"
    else
        return 0
    fi
    in_project bash scripts/stop.sh --grace "$((TO_STOP - 60))" || true
    end "$why"
}

end() {
    echo "this host is shut down: $1"
    shutdown -h now
    exit
}

case "${1:-}" in
    install) set_limits "${@:2}" && install_check ;;
    set) set_limits "${@:2}" ;;
    check) check ;;
    -h | --help) usage ;;
    *) usage >&2 && exit 2 ;;
esac
