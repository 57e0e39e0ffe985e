# Run before the emulator, which then holds every function to its role. Told by AUTH=true, it does so, but for:
# - condition keys it does not know: the partitions a call of DynamoDB names, the encryption context of KMS;
# - batches of SQS, which AWS checks as the single call; the group of a schedule; the identity a mail is sent as;
# - TLS, which the template asks for and there is none of on this machine.
# Signatures are not checked: who calls is told by the access key. What is denied is printed, for the tests to see.
import json

from ministack.core import iam_actions, iam_evaluator


class Resource(str):
    """An ARN with the condition keys of the one item of a transaction that it is checked for."""


def partition(call):
    key = (call.get("Key") or call.get("Item") or {}).get("pk") or {}
    return next(iter(key.values()), None)


def partitions(body):
    call = json.loads(body or b"{}")
    if "RequestItems" in call:
        found = []
        for asked in call["RequestItems"].values():
            if isinstance(asked, dict):
                found += [partition({"Key": key}) for key in asked["Keys"]]
            else:
                found += [partition({"Key": one.get("Key"), "Item": one.get("Item")})
                          for write in asked for one in write.values()]
        return found
    if "KeyConditionExpression" in call:
        placeholder = call["KeyConditionExpression"].split(" AND ")[0].split("=")[1].strip()
        return [next(iter(call["ExpressionAttributeValues"][placeholder].values()))]
    return [partition(call)] if partition(call) is not None else []


def with_partitions(of):
    def context(body):
        found = partitions(body)
        return {**of(body), **({"dynamodb:LeadingKeys": found} if found else {})}
    return context


def with_partition_of_each(of):
    def checks(action, body, region, account):
        found = of(action, body, region, account)
        items = json.loads(body)["TransactItems"] if found else []
        single = [(name, item[name]) for item in items for name in iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS if name in item]
        assert len(single) == len(found)
        checked = []
        for (action, arn), (_, item) in zip(found, single):
            arn = Resource(arn)
            arn.keys = {"dynamodb:LeadingKeys": [partition(item)]}
            checked.append((action, arn))
        return checked
    return checks


def with_encryption_context(of):
    def context(service, action, body, params):
        found = of(service, action, body, params)
        encryption = json.loads(body or b"{}").get("EncryptionContext") if service == "kms" else None
        return {**found, **{f"kms:EncryptionContext:{key}": value for key, value in (encryption or {}).items()}}
    return context


def telling(enforce):
    def told(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        function = None
        if access_key_id and access_key_id.startswith("ASIA"):
            session = iam_evaluator.resolve_principal(access_key_id, "000000000000")
            function = getattr(session, "arn", "/?").split("/")[-1]
        if isinstance(resource_arn, Resource):
            service_context = {**(service_context or {}), **resource_arn.keys}
        if iam_action in ("sqs:SendMessageBatch", "sqs:DeleteMessageBatch"):
            iam_action = iam_action.removesuffix("Batch")
        if function and service == "scheduler":
            # A stack's group is called like the stack, and its functions are called `<stack>-<name>`.
            resource_arn = resource_arn.replace("schedule/default/", f"schedule/{function.split('-')[0]}/")
        if service == "sesv2" and resource_arn == "*":
            resource_arn = f"arn:aws:ses:{region}:000000000000:identity/example.com"
        denied = enforce(access_key_id, iam_action, service, region, resource_arn=resource_arn,
                         service_context=service_context)
        if denied is not None and function:
            print("DENIED", function, iam_action, resource_arn, json.dumps(service_context, default=str), flush=True)
        return denied
    return told


def over_tls(pin):
    return lambda source_ip, secure_transport: pin(source_ip, True)


iam_actions.dynamodb_service_context = with_partitions(iam_actions.dynamodb_service_context)
iam_actions.dynamodb_transaction_checks = with_partition_of_each(iam_actions.dynamodb_transaction_checks)
iam_actions.request_tag_context = with_encryption_context(iam_actions.request_tag_context)
iam_evaluator.enforce = telling(iam_evaluator.enforce)
iam_evaluator.authenticate = lambda access_key_id, account_id: None
iam_evaluator.pin_request_origin = over_tls(iam_evaluator.pin_request_origin)
