#!/usr/bin/env bash
# Builds the functions and deploys them: cargo lambda (with zig), then sam deploy. Run it again to update.
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
case $arch in
  arm64) flag=--arm64 ;;
  x86_64) flag=--x86-64 ;;
  *) usage ;;
esac

if [ "$build" = yes ]; then
  build=(cargo lambda build "$flag" --lambda-dir target/lambda --locked --no-default-features)
  "${build[@]}" --profile lambda --features aws,lambda -p activate -p fanout -p jobs -p notify -p track -p feedback \
    -p deliver-sms -p deliver-push -p deliver-webhook
  "${build[@]}" --profile lambda --features aws,lambda,ses,smtp -p deliver-email
  "${build[@]}" --profile lambda-api --features aws,lambda -p api
fi
sam deploy --template-file infra/template.yaml --stack-name "$stack" --resolve-s3 --capabilities CAPABILITY_IAM \
  --no-fail-on-empty-changeset --parameter-overrides "Architecture=$arch" \
  ${parameters[@]+"${parameters[@]}"} "$@"
