#!/usr/bin/env bash
# Builds the functions and deploys them: infra/build.sh, then sam deploy. Run it again to update.
#
#   infra/deploy.sh [--arch arm64|x86_64] [--stack envoi] [--no-build] [Parameter=Value ...]
#
# What a parameter is not given for keeps the value that the stack has. Whatever follows `--` goes to sam deploy as it is:
# infra/deploy.sh Email=ses -- --profile production --no-confirm-changeset
set -euo pipefail
cd "$(dirname "$0")/.."

arch=arm64 stack=envoi build=yes parameters=()
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=${2:?}; shift ;;
    --stack) stack=${2:?}; shift ;;
    --no-build) build=no ;;
    --) shift; break ;;
    *=*) parameters+=("$1") ;;
    *) usage ;;
  esac
  shift
done
[ "$build" = no ] || infra/build.sh --arch "$arch"
sam deploy --template-file infra/template.yaml --stack-name "$stack" --resolve-s3 --capabilities CAPABILITY_IAM \
  --no-fail-on-empty-changeset --parameter-overrides "Architecture=$arch" \
  ${parameters[@]+"${parameters[@]}"} "$@"
