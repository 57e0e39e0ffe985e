//! Who a call is from: signed so that whoever reads the specification can tell.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use campaign::Channel;
use delivery::{Answer, Cause, MessageId};
use platform::{Clock, SystemClock};
use ring::hmac;
use store::{HashKey, Store};

use crate::receiver::{Asked, Receiver, status};
use crate::world::{World, ada, member, to};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What the specification tells receivers to do, word for word and with no help of ours: the secret is base64 behind its
/// prefix, the signed content `id.timestamp.body`, and one of the signatures has to be that of the message.
fn verifies(asked: &Asked, key: &str) -> bool {
    let secret = BASE64_STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, at) = (asked.header("webhook-id").unwrap(), asked.header("webhook-timestamp").unwrap());
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &asked.body].concat();
    let expected = BASE64_STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), &signed));
    let signatures = asked.header("webhook-signature").unwrap();
    signatures.split(' ').any(|signature| signature == format!("v1,{expected}"))
}

async fn store(world: &World, name: &str, key: &str) {
    let secret = (name, key);
    world
        .store
        .secrets
        .set_of_configuration(Channel::Webhook, world.configuration.id, secret, None)
        .await
        .unwrap();
}

/// Row H8.
#[tokio::test]
async fn a_signature_is_what_the_specification_says() {
    let (world, receiver) = (World::new().await, Receiver::start(status(200)).await);
    store(&world, "signing_key", KEY).await;
    let content = to(&receiver.url());
    assert_eq!(world.answer(&content, ada()).await, Answer::Accepted);
    let asked = receiver.take().remove(0);
    assert!(verifies(&asked, KEY), "{asked:?}");
    assert!(!verifies(&asked, OLD));
    assert!(!verifies(&Asked { body: b"{}".to_vec(), ..asked.clone() }, KEY));
    let at: i64 = asked.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((SystemClock.now().as_second() - at).abs() < 300);
    // A call without a body is signed as well.
    let get = campaign::content::WebhookContent { body: None, ..content };
    world.answer(&get, ada()).await;
    assert!(verifies(&receiver.take()[0], KEY));
}

#[tokio::test]
async fn while_keys_are_changed_either_verifies() {
    let (world, receiver) = (World::new().await, Receiver::start(status(200)).await);
    store(&world, "signing_key", KEY).await;
    store(&world, "previous_signing_key", OLD).await;
    world.answer(&to(&receiver.url()), ada()).await;
    let asked = receiver.take().remove(0);
    assert_eq!(asked.header("webhook-signature").unwrap().split(' ').count(), 2);
    assert!(verifies(&asked, KEY) && verifies(&asked, OLD));
}

#[tokio::test]
async fn a_message_is_called_the_same_each_time_it_is_tried() {
    let (world, receiver) = (World::new().await, Receiver::start(status(500)).await);
    let content = to(&receiver.url());
    let proof = MessageId::Proof { proof: "p".to_owned(), index: 0 };
    for id in [member(0), member(0), member(1), proof] {
        world.call_as(&content, ada(), id).await.unwrap();
    }
    let asked = receiver.take();
    let ids: Vec<_> = asked.iter().map(|asked| asked.header("webhook-id").unwrap()).collect();
    assert_eq!(ids[0], member(0).to_string());
    assert_eq!((ids[1], ids[3]), (ids[0], "proof-p-0"));
    assert_ne!(ids[2], ids[0]);
    assert!(asked.iter().all(|asked| asked.header("webhook-signature").is_none()));
    assert!(asked.iter().all(|asked| asked.header("webhook-timestamp").is_some()));
}

#[tokio::test]
async fn what_should_be_signed_and_can_not_be_is_not_sent() {
    let (world, receiver) = (World::new().await, Receiver::start(status(200)).await);
    store(&world, "signing_key", "whsec_short").await;
    let answer = world.answer(&to(&receiver.url()), ada()).await;
    let Answer::NotAccepted { cause: Cause::Misconfigured, detail, .. } = &answer else {
        panic!("{answer:?}")
    };
    assert!(detail.contains("signing_key") && !detail.contains("short"), "{detail}");
    // Nor where the key was sealed by somebody with another key file.
    let other = World::new().await;
    let elsewhere = Store::new(other.store.platform.clone(), HashKey([8; 32]));
    let (id, secret) = (other.configuration.id, ("signing_key", KEY));
    elsewhere.secrets.set_of_configuration(Channel::Webhook, id, secret, None).await.unwrap();
    let answer = other.answer(&to(&receiver.url()), ada()).await;
    assert!(matches!(answer, Answer::NotAccepted { cause: Cause::Misconfigured, .. }), "{answer:?}");
    assert!(receiver.take().is_empty());
}
