//! Access tokens: asked for once, and no oftener than needed.

use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn all_windows_that_begin_at_once_share_one_token() {
    let world = World::new(|_| Reply::taken()).await;
    let mut windows = Vec::new();
    for number in 0..8 {
        let profile = world.profile(&format!("p{number}"), &[&format!("t{number}")]).await;
        windows.push(world.send(vec![world.prepare(&hello(), profile).unwrap()]));
    }
    for answers in futures::future::join_all(windows).await {
        assert_eq!(answers, [Answer::Accepted]);
    }
    assert_eq!(world.google.tokens_given(), 1);
    assert!(world.google.asked().iter().all(|asked| asked.bearer == "Bearer access-1"));
}

#[tokio::test]
async fn a_token_is_used_until_a_minute_before_its_end() {
    let world = World::new(|_| Reply::taken()).await;
    for (seconds, tokens) in [(0, 1), (3_500, 1), (38, 1), (1, 2), (3_000, 2)] {
        world.clock.go_on(seconds);
        let token = format!("t{}", world.clock.seconds());
        assert_eq!(world.send_to(&[&token]).await.0, Answer::Accepted);
        assert_eq!(world.google.tokens_given(), tokens, "after {} s", world.clock.seconds());
    }
}

#[tokio::test]
async fn another_account_is_taken_up_within_half_a_minute() {
    let world = World::new(|_| Reply::taken()).await;
    assert_eq!(world.send_to(&["a"]).await.0, Answer::Accepted);
    world.set_account("none").await;
    assert_eq!(world.send_to(&["b"]).await.0, Answer::Accepted, "the old one is still remembered");
    world.clock.go_on(30);
    let (answer, _) = world.send_to(&["c"]).await;
    assert_eq!(cause(&answer), Some(Cause::Misconfigured));
    let mut account = world.google.account();
    account["client_id"] = json!("another");
    world.set_account(&account.to_string()).await;
    world.clock.go_on(5);
    assert_eq!(world.send_to(&["d"]).await.0, Answer::Accepted);
    let bearers: Vec<_> = world.google.asked().iter().map(|asked| asked.bearer.clone()).collect();
    assert_eq!(
        bearers,
        ["Bearer access-1", "Bearer access-1", "Bearer access-2"],
        "the token goes with its account"
    );
}

#[tokio::test]
async fn an_account_that_is_refused_or_missing_is_the_configurations_fault() {
    let world = World::new(|_| Reply::taken()).await;
    let refusal = r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
    for status in [400, 401, 403, 404] {
        world.google.gives_no_token(Some(Reply::Answer(status, "", refusal.to_owned())));
        let (answer, _) = world.send_to(&[&format!("t{status}")]).await;
        assert_eq!(cause(&answer), Some(Cause::Misconfigured), "{answer:?}");
        world.clock.go_on(5);
    }
    let secrets = &world.store.secrets;
    secrets.delete_of_configuration(Channel::Push, world.configuration.id, None).await.unwrap();
    world.clock.go_on(30);
    let (answer, _) = world.send_to(&["none"]).await;
    assert_eq!(cause(&answer), Some(Cause::Misconfigured), "{answer:?}");
    // A service account may not lead us to what only we can reach.
    let mut account = world.google.account();
    account["token_uri"] = json!("http://169.254.169.254/token");
    world.set_account(&account.to_string()).await;
    world.clock.go_on(30);
    let (answer, _) = world.send_to(&["elsewhere"]).await;
    assert_eq!(cause(&answer), Some(Cause::Misconfigured), "{answer:?}");
    assert_eq!(world.google.asked().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_token_endpoint_that_can_t_be_reached_is_left_alone_for_a_moment() {
    let world = World::new(|_| Reply::taken()).await;
    let troubles = [
        Reply::Answer(500, "", String::new()),
        Reply::Answer(429, "retry-after: 7\r\n", String::new()),
        Reply::Answer(200, "", "<html>".to_owned()),
        Reply::Bytes(""),
        Reply::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
    ];
    for (number, trouble) in troubles.into_iter().enumerate() {
        world.google.gives_no_token(Some(trouble.clone()));
        let before = world.google.tokens_given();
        for window in 0..3 {
            let (answer, _) = world.send_to(&[&format!("t{number}-{window}")]).await;
            assert_eq!(cause(&answer), Some(Cause::Unreachable), "{trouble:?}: {answer:?}");
        }
        assert_eq!(world.google.tokens_given(), before + 1, "{trouble:?}: it was asked once");
        world.clock.go_on(5);
    }
    assert_eq!(world.google.asked().len(), 0, "nothing was sent");
    world.google.gives_no_token(None);
    assert_eq!(world.send_to(&["t"]).await.0, Answer::Accepted);
    // Nobody listens any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut account = world.google.account();
    account["token_uri"] = json!(format!("http://{}/token", listener.local_addr().unwrap()));
    drop(listener);
    world.set_account(&account.to_string()).await;
    world.clock.go_on(30);
    let (answer, _) = world.send_to(&["closed"]).await;
    assert_eq!(cause(&answer), Some(Cause::Unreachable), "{answer:?}");
}

#[tokio::test]
async fn a_token_that_is_no_longer_let_in_is_replaced_once_for_all() {
    let world = World::new(|asked| {
        if asked.bearer == "Bearer access-1" {
            Reply::error(401, "UNAUTHENTICATED", "UNSPECIFIED_ERROR")
        } else {
            Reply::taken()
        }
    })
    .await;
    let tokens: Vec<_> = (0..20).map(|number| format!("t{number}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    assert_eq!(world.send_to(&tokens).await.0, Answer::Accepted);
    assert_eq!(world.google.tokens_given(), 2);
    let taken = world.google.asked().iter().filter(|asked| asked.bearer == "Bearer access-2").count();
    assert_eq!(taken, 20, "each device was sent to once more");
    let again = world.google.asked().len();
    assert_eq!(world.send_to(&["t"]).await.0, Answer::Accepted);
    assert_eq!(world.google.asked().len(), again + 1, "the new one is kept");
}

#[tokio::test]
async fn who_is_never_let_in_is_misconfigured_after_one_more_try() {
    for (status, canonical) in [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")] {
        let world = World::new(move |_| Reply::error(status, canonical, "UNSPECIFIED_ERROR")).await;
        let (answer, id) = world.send_to(&["t"]).await;
        assert_eq!(cause(&answer), Some(Cause::Misconfigured), "{answer:?}");
        assert_eq!((world.google.asked().len(), world.google.tokens_given()), (2, 2));
        assert_eq!(world.tokens(id).await, ["t"]);
    }
}
