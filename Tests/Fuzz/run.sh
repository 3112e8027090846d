#!/usr/bin/env bash
# Builds every fuzz target and runs each for SECONDS (default 60): Tests/Fuzz/run.sh [SECONDS] [TARGET...]
#
# C targets are Tests/Fuzz/fuzz_*.c, linked with the whole C core; Swift targets are Tests/Fuzz/*Fuzz.swift, linked with NexaWire,
# the filter compiler, the decoders of the log and the manifest and the messages of replication. All run under AddressSanitizer, the C code under UndefinedBehaviorSanitizer as well. Seeds stand in
# Tests/Fuzz/corpus/TARGET; what a run finds on top is kept in .fuzz/corpus, inputs that fail in .fuzz/findings. Exit status 1 on a finding.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
out=.fuzz
mkdir -p $out/bin $out/obj $out/findings $out/logs

swiftc=$(command -v swiftc)
clang=$(dirname "$(readlink -f "$swiftc")")/clang
[ -x "$clang" ] || clang=clang
libraries=$(pkg-config --cflags --libs liblz4 libargon2)
c_flags="-g -O1 -std=gnu17 -D_GNU_SOURCE -ICSupport/include -fsanitize=address,undefined -fno-sanitize-recover=undefined"
swift_flags="-g -O -swift-version 6 -parse-as-library -package-name nexadb -sanitize=fuzzer,address -enable-experimental-feature Lifetimes
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility
    -I $out/obj -Xcc -ICSupport/include -Xcc -fmodule-map-file=$out/obj/module.modulemap"

# True when $1 is missing or older than one of the other arguments.
stale() {
    local product=$1
    shift
    [ ! -e "$product" ] || [ -n "$(find "$@" -newer "$product" -print -quit)" ]
}

if stale $out/obj/csupport.stamp CSupport/src CSupport/include Tests/Fuzz/run.sh; then
    echo "building the C core"
    rm -f $out/obj/c_*.o
    for source in CSupport/src/*.c; do
        $clang $c_flags -fsanitize=fuzzer-no-link -c "$source" -o "$out/obj/c_$(basename "$source" .c).o"
    done
    printf 'module CSupport {\n    header "%s/CSupport/include/CSupport.h"\n    export *\n}\n' "$PWD" >$out/obj/module.modulemap
    touch $out/obj/csupport.stamp
fi

wire=$(find Sources/NexaWire -name '*.swift')
filter="$(find Sources/NexaDocuments/Filter -name '*.swift') Sources/NexaDocuments/Basics/DocumentError.swift
    $(printf 'Sources/NexaDocuments/Changes/%s.swift ' ChangePosition ResumeToken)"
storage="$(find Sources/NexaStorage/Basics -name '*.swift') Sources/NexaStorage/FileSystem/FileSystem.swift
    $(printf 'Sources/NexaStorage/WriteAheadLog/%s.swift ' RecordHeader LogRecordDecoder LogRecord LogFileHeader LogNote DurableEvidence EpochStartRecord LogOptions)
    $(printf 'Sources/NexaStorage/Manifest/%s.swift ' VersionEdit VersionEdit+Coding FieldCoding ManifestState ManifestFileName)
    $(printf 'Sources/NexaStorage/%s.swift ' Replication/ReplicatedRecord Replication/LogPoint Replication/ContentHash Snapshot/CheckpointManifest Version/StoreLayout Commit/BatchPayload Commit/WriteBatch)"
if stale $out/obj/NexaStorage.o $storage $out/obj/csupport.stamp; then
    echo "building the decoders of the log"
    $swiftc $swift_flags -wmo -module-name NexaStorage -emit-module-path $out/obj/NexaStorage.swiftmodule -emit-object $storage \
        -o $out/obj/NexaStorage.o
fi

if stale $out/obj/NexaDocuments.o $wire $filter $out/obj/NexaStorage.o $out/obj/csupport.stamp; then
    echo "building NexaWire and the filter compiler"
    $swiftc $swift_flags -wmo -module-name NexaWire -emit-module-path $out/obj/NexaWire.swiftmodule -emit-object $wire \
        -o $out/obj/NexaWire.o
    $swiftc $swift_flags -wmo -module-name NexaDocuments -emit-module-path $out/obj/NexaDocuments.swiftmodule -emit-object $filter \
        -o $out/obj/NexaDocuments.o
fi

replication="$(find Sources/NexaReplication/Messages -name '*.swift') $(printf 'Sources/NexaReplication/Position/%s.swift ' EpochHistory EpochLimit)
    $(printf 'Sources/NexaReplication/Basics/%s.swift ' NodeID ClusterConfiguration) Sources/NexaReplication/Serving/ReplicationSlot.swift
    Sources/NexaReplication/Basics/ReplicationOptions.swift"
if stale $out/obj/NexaReplication.o $replication $out/obj/NexaStorage.o $out/obj/NexaDocuments.o; then
    echo "building the messages of replication"
    $swiftc $swift_flags -wmo -module-name NexaReplication -emit-module-path $out/obj/NexaReplication.swiftmodule -emit-object $replication \
        -o $out/obj/NexaReplication.o
fi

targets=()
for source in Tests/Fuzz/fuzz_*.c Tests/Fuzz/*Fuzz.swift; do
    [ -e "$source" ] || continue
    name=$(basename "${source%.*}")
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    targets+=("$name")
    stale "$out/bin/$name" "$source" $out/obj/csupport.stamp $out/obj/NexaReplication.o || continue
    echo "building $name"
    case $source in
    *.c) $clang $c_flags -fuse-ld=lld -fsanitize=fuzzer "$source" $out/obj/c_*.o $libraries -lm -lpthread -o "$out/bin/$name" ;;
    *) $swiftc $swift_flags -use-ld=lld -module-name "$name" "$source" $out/obj/Nexa*.o $out/obj/c_*.o \
        $libraries -o "$out/bin/$name" ;;
    esac
done

# Without this, Swift's own handler takes the trap and libFuzzer writes no failing input.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0
failed=0
for name in "${targets[@]}"; do
    mkdir -p "$out/corpus/$name" "Tests/Fuzz/corpus/$name"
    status=0
    "$out/bin/$name" -max_total_time="$seconds" -timeout=5 -malloc_limit_mb=64 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$out/findings/$name-" "$out/corpus/$name" "Tests/Fuzz/corpus/$name" >"$out/logs/$name.log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/logs/$name.log")
    if [ $status -ne 0 ]; then
        failed=$((failed + 1))
        echo "$name: FINDING (status $status), log in $out/logs/$name.log"
        grep -aE 'ERROR|runtime error|SUMMARY|Test unit written' "$out/logs/$name.log" | head -5 || true
    else
        coverage=$(grep -aoE 'cov: [0-9]+' "$out/logs/$name.log" | tail -1)
        echo "$name: $runs runs in $seconds s, ${coverage:-cov: ?}, no finding"
    fi
done
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ $failed -eq 0 ]
