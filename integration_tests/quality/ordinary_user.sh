#!/usr/bin/env bash
# The tiny demo as somebody who is nobody: not root, no network interface, an empty HOME, a bare
# environment, a current directory that cannot be written to, and a path with a space and an umlaut.
#
#     sudo integration_tests/quality/ordinary_user.sh [PYTHON]
#
# PYTHON (default: .venv/bin/python) has the package and the host installed. Needs root, which sets
# up namespaces of its own that end with it; nothing outside of a temporary folder is changed.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
if [ "${ORDINARY_USER_STAGE:-}" = "" ]; then
    [ "$(id -u)" = 0 ] || { echo 'run it as root: it becomes somebody else by itself' >&2; exit 2; }
    python=${1:-$root/.venv/bin/python}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    ORDINARY_USER_STAGE=inside unshare --net --mount "$0" "$python" "$work"
    exit
fi

python=$1 work=$2
as_nobody() {
    env -i PATH="$(dirname "$python"):/usr/bin:/bin" HOME="$work/home" ${PYTHONPATH:+PYTHONPATH="$PYTHONPATH"} \
        setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs "$@"
}
mkdir "$work/home" "$work/mein Käfig"
chown 65534:65534 "$work" "$work/home" "$work/mein Käfig"

# a Python that lies in root's home is shown to the user where it is, and nothing else of that home
prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
if ! as_nobody test -x "$prefix/bin"; then
    closed=/$(cut -d/ -f2 <<< "$prefix")
    mkdir "$work/prefix"
    mount --bind "$prefix" "$work/prefix"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$prefix"
    mount --move "$work/prefix" "$prefix"
    rmdir "$work/prefix"
fi

cd /
as_nobody "$python" - << 'END'
import os, socket
assert os.getuid() != 0 and not os.access('.', os.W_OK) and not os.listdir(os.environ['HOME'])
try:
    socket.create_connection(('127.0.0.1', 9), timeout=1)
except OSError as error:
    print('no network, as it should be:', error)
END
demo="$work/mein Käfig/demo"
as_nobody "$python" -m beast_lp beast_demo --tiny --output_dir "$demo"
for file in index.html pretraining/backbone/model.safetensors pose_error.csv encoding/report.html \
        segmentation/report.html; do
    [ -s "$demo/$file" ] || { echo "FAILED: $file is missing" >&2; exit 1; }
done
echo "left in HOME: $(cd "$work/home" && find . -type f | sort | tr '\n' ' ')"
foreign=$(find "$work" ! -uid 65534 | head -3)
[ -z "$foreign" ] || { echo "FAILED: not the user's own: $foreign" >&2; exit 1; }
echo 'the demo runs for an ordinary user without network'
