# shellcheck shell=bash disable=SC2154
# Sourced (after hosts.sh): brings the project's files to a host, and takes away there what an earlier push brought and is gone here.

# What each host has of its own: no push brings or removes it. (KEPT of scripts/ec2/tree.py is the same list for the launcher's push.)
KEPT='@(runs|.job|.data|.venv|.cluster|.git)/*'

# How a file with a private key begins. No host gets one. (_PRIVATE_KEY of scripts/ec2/tree.py is the same for the launcher's push.)
PRIVATE_KEY='^(-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----|PuTTY-User-Key-File-)'

# list_project: the files to push, once, in $scratch/files.
list_project() {
    local name begins
    git rev-parse --is-inside-work-tree >/dev/null 2>&1 || fail "$PWD is no git checkout; the files to push are those that git knows"
    while IFS= read -r -d '' name; do
        # shellcheck disable=SC2053 # a pattern
        [[ $name/ != $KEPT && (-f $name || -L $name) ]] || continue
        if [[ ! -L $name ]] && { IFS= read -r -n 64 begins <"$name" || true; } && [[ $begins =~ $PRIVATE_KEY ]]; then
            printf '%s holds a private key, and stays here\n' "$name" | printable >&2
            continue
        fi
        printf '%s\0' "$name"
    done < <(git ls-files -z --cached --others --exclude-standard) >"$scratch/files"
    num_files=$(tr -dc '\0' <"$scratch/files" | wc -c)
    ((num_files)) || fail "git lists no file in $PWD"
}

# push_host INDEX. .cluster/pushed there lists what pushes brought: only that is ever removed. It takes the new list before the new
# files arrive, so that a push that breaks off leaves nothing behind that the next one does not know.
push_host() {
    local sent
    remote "$1" "$RECEIVE" "$directory" "$num_files" "$KEPT" <"$scratch/files"
    sent=$(rsync_to_hosts --from0 --files-from "$scratch/files" --links --perms --times --chmod go-w --out-format %n . "$(place "$1" "")")
    echo "$(grep -c '[^/]$' <<<"$sent" || true) of $num_files files were new or changed"
}

# shellcheck disable=SC2016 # expanded on the host
RECEIVE='
[[ $(type -P rsync) ]] || { echo "rsync is missing on this host; sudo apt-get install rsync" >&2 && exit 1; }
mkdir -p -- "$1" && cd -- "$1"
mkdir -p -m 700 .cluster && chmod 700 .cluster
cat >.cluster/pushed.new
[[ $(tr -dc "\0" <.cluster/pushed.new | wc -c) -eq $2 ]] || { echo "the list of files did not arrive" >&2 && exit 1; }
LC_ALL=C sort -zu -o .cluster/pushed.new .cluster/pushed.new
if [[ -e .cluster/pushed ]]; then
    LC_ALL=C comm -z -23 .cluster/pushed .cluster/pushed.new | while IFS= read -r -d "" name; do
        [[ $name/ != $3 && /$name/ != */../* ]] || continue
        if [[ -f $name || -L $name ]]; then
            rm -- "./$name"
            echo "removed $name"
        fi
        while [[ $name == */* ]]; do
            name=${name%/*}
            rmdir -- "./$name" 2>/dev/null || break
        done
    done
fi
mv .cluster/pushed.new .cluster/pushed
'
