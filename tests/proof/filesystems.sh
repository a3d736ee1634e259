#!/usr/bin/env bash
# Runs the contract tests (tests/it) on file systems of their own, once on the thread pool and once with every operation
# on a ring.
#
#     tests/proof/filesystems.sh [FILE SYSTEM]... [-- NAME]...
#
# File systems are ext4, xfs, btrfs, tmpfs and overlay; all of them without an argument. With names, only the tests whose
# names contain one of them. Needs root, `unshare`, loop devices and the programs that make the file systems; what is
# missing is skipped, and said. Everything is mounted in a namespace of its own, on images below `TMPDIR`, and gone afterwards.
# `AIOFILES_TEST_SCALE` is 0.1 if it is not set: so many of the random operations.

set -euo pipefail

if [[ -z ${AIOFILES_FILESYSTEMS_BINARY:-} ]]; then
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null
    if [[ $(id -u) != 0 ]] || ! unshare -m true 2>/dev/null; then
        echo "skipped: needs root and unshare -m"
        exit 0
    fi
    # Cargo tells the path of the binary.
    binary=$(cargo test --all-features --test it --no-run --message-format=json |
        sed -n 's/.*"name":"it".*"executable":"\([^"]*\)".*/\1/p')
    # Some tests start it again as another user, who may not be able to come where it is.
    copy=$(mktemp -d "${TMPDIR:-/tmp}/aiofiles-filesystems-XXXXXX")
    trap 'rm -rf -- "$copy"' EXIT
    chmod 755 "$copy"
    cp -- "$binary" "$copy/it"
    AIOFILES_FILESYSTEMS_BINARY=$copy/it unshare -m -- "$0" "$@"
    exit
fi

# From here on, mounts are this process's own.
binary=$AIOFILES_FILESYSTEMS_BINARY
unset AIOFILES_FILESYSTEMS_BINARY
export AIOFILES_TEST_SCALE=${AIOFILES_TEST_SCALE:-0.1}

systems=()
while (($# > 0)) && [[ $1 != -- ]]; do
    systems+=("$1")
    shift
done
if (($# > 0)); then
    shift
fi
if ((${#systems[@]} == 0)); then
    systems=(ext4 xfs btrfs tmpfs overlay)
fi

work=$(dirname -- "$binary")
place=$work/mount
mkdir "$place"

# Mounts a new file system of the kind $1 at $place. What it is made of is below $work.
make() {
    local image=$work/image
    rm -rf -- "$image" "$work/layers"
    case $1 in
        ext4 | xfs | btrfs)
            command -v "mkfs.$1" >/dev/null || return 1
            truncate -s 4G "$image"
            local force=-f
            [[ $1 != ext4 ]] || force=-F
            "mkfs.$1" -q "$force" "$image" >/dev/null 2>&1
            mount -o loop "$image" "$place"
            ;;
        tmpfs) mount -t tmpfs tmpfs "$place" ;;
        overlay)
            mkdir "$work/layers"
            mount -t tmpfs tmpfs "$work/layers"
            mkdir "$work"/layers/{lower,upper,work}
            mount -t overlay overlay -o "lowerdir=$work/layers/lower,upperdir=$work/layers/upper,workdir=$work/layers/work" "$place"
            ;;
        *)
            echo "not a file system that is known here: $1" >&2
            exit 2
            ;;
    esac
    chmod 1777 "$place"
}

failed=0
for system in "${systems[@]}"; do
    for backend in pool uring; do
        if ! grep -qw "$system" /proc/filesystems || ! make "$system"; then
            echo "skipped: needs $system"
            continue
        fi
        log=$work/log
        code=0
        TMPDIR=$place AIOFILES_BACKEND=$backend "$binary" "$@" >"$log" 2>&1 || code=$?
        if ((code != 0)); then
            failed=1
            cat -- "$log"
        fi
        result=$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]* passed; [0-9]* failed\).*/\1/p' "$log")
        skips=$(grep -c '^skipped: needs' "$log" || true)
        grep -o '^skipped: needs .*' "$log" | sed 's/; skip [0-9]* of this run]/]/' | sort -u || true
        echo "figure: contract tests on $system with $backend: ${result:-no result}; $skips skips"
        umount "$place"
        if [[ $system == overlay ]]; then
            umount "$work/layers"
        fi
    done
done
exit "$failed"
