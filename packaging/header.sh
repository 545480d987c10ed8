#!/bin/sh
# jobrun @VERSION@: a zip application behind this header. Look inside: unzip -l, python3 -m zipapp --info.
: 08 'jobrun: Python does not find the end of this file: copy it again, and start it by its path'  # its error shows that
c=${JOBRUN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jobrun}/@BUILD@
if [ "${c#/}" != "$c" ] && [ -O "$c" ] && [ ! -L "$c" ] && [ -O "$c/boot.py" ] && [ -s "$c/boot.py" ] && [ -O "$c/python" ] && read -r p <"$c/python" && [ -x "$p" ]
then exec "$p" -I -S "$c/boot.py" "$0" "$@"
fi
if [ ! -r "$0" ]
then echo "jobrun: cannot read my own file '$0': start me by my path, not through a pipe" >&2; exit 125
fi
if n=$(wc -c <"$0" 2>/dev/null) && [ "$n" -ne @SIZE@ ]
then echo "jobrun: '$0' is not complete: copy it again" >&2; exit 125
fi
for p in @PYTHON@ python3 python3.14 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3 /usr/local/bin/python3
do p=$(command -v "$p" 2>/dev/null) && [ -x "$p" ] && "$p" -I -S -c '' 2>/dev/null && exec "$p" -I -S "$0" "$@"
done
echo "jobrun: found no python3 on PATH that runs: install CPython 3.10 or newer" >&2; exit 125
