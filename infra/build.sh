#!/usr/bin/env bash
# Builds the functions as they are deployed, into target/lambda/<function>/bootstrap, where the template looks for them.
#
#   infra/build.sh [--arch arm64|x86_64] [--with cargo-lambda|cargo] [function ...]
#
# All functions, where none is named; for arm64, where nothing else is said. cargo-lambda cross-compiles with zig and links
# against a C library as old as Lambda's. `--with cargo` needs neither, and builds for this machine alone: its C library must
# not be newer than that of the functions' image (glibc 2.34).
set -euo pipefail
cd "$(dirname "$0")/.."

all=(api activate fanout deliver-email deliver-sms deliver-push deliver-webhook jobs notify track feedback)
arch='' with=cargo-lambda functions=()
usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=${2:?}; shift ;;
    --with) with=${2:?}; shift ;;
    -*) usage ;;
    *) [[ " ${all[*]} " = *" $1 "* ]] || usage; functions+=("$1") ;;
  esac
  shift
done
[ ${#functions[@]} -gt 0 ] || functions=("${all[@]}")

# Where cargo builds is the caller's affair; where the programs go is the template's.
target_dir=${CARGO_TARGET_DIR:-target} programs=target/lambda
host=$(rustc -vV | sed -n 's/^host: //p')
case $with in
  cargo-lambda)
    case ${arch:=arm64} in
      arm64) flag=--arm64 ;;
      x86_64) flag=--x86-64 ;;
      *) usage ;;
    esac
    cargo=(cargo lambda build "$flag" --lambda-dir "$programs") ;;
  cargo)
    here=$(uname -m)
    [ "${arch:=${here/aarch64/arm64}}" = "${here/aarch64/arm64}" ] || { echo "cargo alone builds for $here" >&2; exit 2; }
    # The target is named so that its files don't meet those of other builds.
    cargo=(cargo build --target "$host") ;;
  *) usage ;;
esac

# At fixed addresses: what moves a program to another one would be a tenth of it, and is worked off at each start. Each function
# has a virtual machine to itself, and Envoi has no unsafe code.
flags="${RUSTFLAGS:-} -C relocation-model=static"
# Flags are told apart by spaces, which a path may hold: so the linker's script is named from here, where cargo starts the linker.
# One after the other: together, each would carry what the others need.
for name in "${functions[@]}"; do
  profile=lambda features=aws,lambda linked=''
  case $name in
    api) profile=lambda-api linked=" -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,infra/no-unwind.ld" ;;
    deliver-email) features+=,ses,smtp ;;
  esac
  RUSTFLAGS=$flags$linked "${cargo[@]}" --locked --profile "$profile" --no-default-features --features "$features" --package "$name"
  if [ "$with" = cargo ]; then
    mkdir -p "$programs/$name"
    cp "$target_dir/$host/$profile/$name" "$programs/$name/bootstrap"
  fi
done
