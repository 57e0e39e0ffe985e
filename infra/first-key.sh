#!/usr/bin/env bash
# Makes an API key where Envoi runs on AWS: the first one, which no other key can make. It is written into the control table
# with your own AWS rights (dynamodb:PutItem there, cloudformation:DescribeStacks), as a hash: the key itself is printed, once.
#
#   infra/first-key.sh [--stack envoi] [--name "first key"] [--role admin]
set -euo pipefail

stack=envoi name="first key" role=admin
usage() { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --stack) stack=${2:?} ;;
    --name) name=${2:?} ;;
    --role) role=${2:?} ;;
    *) usage ;;
  esac
  shift 2
done
case $role in viewer | manager | publisher | admin) ;; *) usage ;; esac
# It becomes part of a JSON document.
case $name in *[\"\\]* | *[[:cntrl:]]*) echo "a name without quotes, backslashes and control characters" >&2; exit 2 ;; esac

table=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
  --query "Stacks[0].Outputs[?OutputKey=='ControlTable'].OutputValue")
if [ -z "$table" ] || [ "$table" = None ]; then
  echo "the stack $stack has no output ControlTable" >&2
  exit 1
fi

key=envoi_$(openssl rand -hex 32)
id=$(printf %s "$key" | openssl dgst -sha256 -r | cut -d' ' -f1)
document=$(printf '{"id":"%s","name":"%s","role":"%s","created_at":"%s"}' "$id" "$name" "$role" "$(date -u +%Y-%m-%dT%H:%M:%SZ)")
case $(aws --version 2>&1) in
  # Version 1 encodes bytes itself, version 2 wants them encoded.
  aws-cli/1.*) bytes=$(printf %s "$document" | sed 's/"/\\"/g') options=() ;;
  *) bytes=$(printf %s "$document" | openssl base64 -A) options=(--cli-binary-format base64) ;;
esac
# As store::keys writes it. The key itself is in none of the arguments, which other users of this machine can see.
aws dynamodb put-item --table-name "$table" --condition-expression 'attribute_not_exists(pk)' \
  ${options[@]+"${options[@]}"} \
  --item "{\"pk\":{\"S\":\"keys\"},\"sk\":{\"S\":\"$id\"},\"doc\":{\"B\":\"$bytes\"},\"rev\":{\"N\":\"1\"}}"
printf '%s\n' "$key"
