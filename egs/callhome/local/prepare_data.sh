#!/usr/bin/env bash
# Copyright 2026  ssdiar authors
# Apache 2.0

# Stage 1: from a CALLHOME corpus to a data directory; see --help and README.md.
# shellcheck source=steps/diar/begin.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../../steps/diar/begin.sh"
<<<<<<< HEAD
exec "$python" "$here/prepare_data.py" "$@"
=======

[ $# = 0 ] || die "expected options only, got $1 (see $script --help)"
[ -n "$corpus_dir" ] || die "expected --corpus-dir <dir>, got no --corpus-dir (see $script --help)"
"$python" "$here/prepare_data.py" --verbose "$verbose" --corpus "$corpus" --subset "$subset" --crop "$crop" --set "$set" \
  --data-root "$data_root" "$corpus_dir"
checked=$(PYTHON=$python "$utils/validate_data_dir.sh" --no-feats --no-text "$data_root/$set") || exit 1
if [ "$verbose" != 0 ]; then echo "$checked" >&2; fi
>>>>>>> machinery
