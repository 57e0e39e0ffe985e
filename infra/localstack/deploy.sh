#!/usr/bin/env bash
# Deploys the same template within LocalStack's free services: the API by a function URL, starts by the sweep, email by SMTP.
# Run it again to update. It needs the AWS CLI, openssl and curl, and for the build Rust and a C compiler.
#
#   docker compose -f infra/localstack/compose.yaml up --detach --wait
#   infra/localstack/deploy.sh
#
# Variables, each with its default:
#   AWS_ENDPOINT_URL=http://localhost:4566   the emulator
#   ENVOI_STACK=envoi                        the stack
#   ENVOI_SMTP=mailpit:1025                  where mail goes, as the functions see it
#   ENVOI_BINARIES=                          a folder with the functions' programs,
#                                            built already for x86_64 or arm64 as this machine is; empty: they are built
set -euo pipefail
if [ -n "${ENVOI_BINARIES:-}" ]; then ENVOI_BINARIES=$(cd "$ENVOI_BINARIES" && pwd); fi
cd "$(dirname "$0")/../.."

export AWS_ENDPOINT_URL=${AWS_ENDPOINT_URL:-http://localhost:4566}
# LocalStack takes any; these are not to be yours.
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_SESSION_TOKEN=''
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1} AWS_REGION=${AWS_REGION:-us-east-1} AWS_PAGER=''
unset AWS_PROFILE
stack=${ENVOI_STACK:-envoi} smtp=${ENVOI_SMTP:-mailpit:1025} bucket=envoi-code
functions=(api activate fanout deliver-email deliver-sms deliver-push deliver-webhook jobs notify track feedback)

step() { printf '== %s\n' "$*" >&2; }
case $(uname -m) in
  arm64 | aarch64) arch=arm64 ;;
  *) arch=x86_64 ;;
esac

# The template names the programs by paths from its own folder, so a copy of both is all that packaging needs.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/infra"
cp infra/template.yaml "$work/infra/"

if [ -z "${ENVOI_BINARIES:-}" ]; then
  with=cargo
  if cargo lambda --help > /dev/null 2>&1; then with=cargo-lambda; fi
  step "building with $with for $arch"
  infra/build.sh --arch "$arch" --with "$with"
  ENVOI_BINARIES=target/lambda
fi
for name in "${functions[@]}"; do
  mkdir -p "$work/target/lambda/$name"
  # cargo lambda makes a folder of each, cargo a file.
  program=$ENVOI_BINARIES/$name
  [ -d "$program" ] && program=$program/bootstrap
  cp "$program" "$work/target/lambda/$name/bootstrap"
  chmod 755 "$work/target/lambda/$name/bootstrap"
done

step "packaging into s3://$bucket"
aws s3api head-bucket --bucket "$bucket" > /dev/null 2>&1 || aws s3 mb "s3://$bucket" > /dev/null
aws cloudformation package --template-file "$work/infra/template.yaml" --s3-bucket "$bucket" \
  --output-template-file "$work/packaged.yaml" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

step "deploying the stack $stack"
aws cloudformation deploy --template-file "$work/packaged.yaml" --s3-bucket "$bucket" --stack-name "$stack" \
  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --parameter-overrides \
  Entry=function-url Starts=sweep Email=smtp "SmtpHost=${smtp%:*}" "SmtpPort=${smtp##*:}" SmtpTls=none \
  "Architecture=$arch" Alarms=off DeletionProtection=false >&2

url=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
  --query "Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue")
key=$(infra/first-key.sh --stack "$stack" --name "from localstack/deploy.sh")
printf 'ENVOI_URL=%s\nENVOI_KEY=%s\n' "${url%/}" "$key"
