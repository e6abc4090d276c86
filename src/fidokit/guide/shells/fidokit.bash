# Completion of fidokit for bash. `fidokit completion --install` puts it where bash finds it.
_fidokit() {
    local program=${1/#\~\//$HOME/} line tab=$'\t'
    [[ ${program##*/} == fidokit ]] || program=fidokit
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            "${tab}files"*) compopt -o default ;;
            "${tab}folders"*) compopt -o dirnames ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <(_FIDOKIT_COMPLETE=bash COMP_WORDBREAKS=$COMP_WORDBREAKS \
        "$program" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then
        compopt -o nospace
    fi
} 2>/dev/null
complete -F _fidokit fidokit
