#!/usr/bin/env bash
# Builds the functions and deploys them: infra/build.sh, then sam deploy. Run it again to update.
#
#   infra/deploy.sh [--arch arm64|x86_64] [--stack envoi] [--no-build] [Parameter=Value ...]
#
# What a parameter is not given for keeps the value that the stack has, the architecture too where nothing is built; what is
# built is built for arm64, where nothing else is said. Whatever follows `--` goes to sam deploy as it is:
# infra/deploy.sh Email=ses -- --profile production --no-confirm-changeset
set -euo pipefail
cd "$(dirname "$0")/.."

arch='' stack=envoi build=yes parameters=()
usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=${2:?}; shift ;;
    --stack) stack=${2:?}; shift ;;
    --no-build) build=no ;;
    --) shift; break ;;
    Architecture=*) arch=${1#*=} ;;
    *=*) parameters+=("$1") ;;
    *) usage ;;
  esac
  shift
done
if [ "$build" = yes ]; then
  : "${arch:=arm64}"
  infra/build.sh --arch "$arch"
fi
# Only what was built or asked for: else an update by one parameter would have programs of one kind run on the other.
[ -z "$arch" ] || parameters+=("Architecture=$arch")
[ ${#parameters[@]} -eq 0 ] || parameters=(--parameter-overrides "${parameters[@]}")
sam deploy --template-file infra/template.yaml --stack-name "$stack" --resolve-s3 --capabilities CAPABILITY_IAM \
  --no-fail-on-empty-changeset ${parameters[@]+"${parameters[@]}"} "$@"
