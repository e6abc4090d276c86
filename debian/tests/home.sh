# Sourced by the tests (sh): stops at the first failure, in an empty home that goes with the test.
set -eu
HOME=$(mktemp -d)
trap 'rm -rf "$HOME"' EXIT
export HOME
export LC_ALL=C.UTF-8
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME FIDOKIT_TOKEN SSH_AUTH_SOCK DISPLAY
cd "$HOME"

# The words of a command that has to fail, with what it has to say.
refuses() { # TEXT COMMAND...
    text=$1
    shift
    ! "$@" >said 2>&1 || {
        echo "it worked: $*" >&2
        return 1
    }
    grep -q -- "$text" said || {
        cat said >&2
        return 1
    }
}
