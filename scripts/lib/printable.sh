# shellcheck shell=bash
# Sourced: what other machines print, as a terminal may show it.

# printable [SED_COMMAND]: at the end of a pipe, passes on what other machines print, by the line, with ? for what a terminal does not
# simply show: control characters, which can rewrite the screen, the title or the clipboard, and UTF-8 that has no width or turns the
# direction of writing.
printable() {
    local sed=(sed -u)
    # Unbuffered, sed reads byte by byte.
    if [[ -n $(type -P stdbuf) ]]; then sed=(stdbuf -oL sed); fi
    # A line without end fails here, and with it the host that sends it, before it fills this machine's memory.
    ulimit -v 200000
    LC_ALL=C exec "${sed[@]}" -e $'s/\v/?/g; s/\r$/\v/; s/[\001-\010\f\r\016-\037\177]/?/g; s/\v/\r/' \
        -e $'s/\302[\200-\237\255]/?/g; s/\342\200[\213-\217\250-\256]/?/g; s/\342\201[\240-\257]/?/g; s/\330\234/?/g; s/\357\273\277/?/g' \
        ${1:+-e "$1"}
}
