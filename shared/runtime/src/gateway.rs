//! API Gateway in front of the router: an HTTP API or a function's URL, which call with payloads of format 2.0 ("Create AWS
//! Lambda proxy integrations for HTTP APIs" in the API Gateway Developer Guide).
//!
//! The crate that does this for every kind of gateway makes the function a hundred kilobytes larger: it converts texts out
//! of every character set there is. Ours are JSON and UTF-8.

use std::collections::HashMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use data_encoding::BASE64;
use http::header::COOKIE;
use http::{HeaderMap, Method, Uri};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

/// What a path may be made of as it stands, beside letters and digits.
const PATH: &[u8] = b"/-._~!$&'()*+,;=:@%";

/// Answers what the gateway asks, for as long as the process lives. A request goes by Lambda's name for it, which stands in
/// Lambda's own log lines, too: the router finds it as an extension that `named` makes of it.
///
/// # Errors
/// Where Lambda's runtime API can't be reached.
pub async fn run<I>(router: Router, named: fn(String) -> I) -> Result<(), Error>
where
    I: Clone + Send + Sync + 'static,
{
    let answer =
        |event: LambdaEvent<Call>| answer(router.clone(), event.payload, named(event.context.request_id));
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer<I>(router: Router, call: Call, id: I) -> Result<Answer, Error>
where
    I: Clone + Send + Sync + 'static,
{
    let mut request = call.into_request()?;
    request.extensions_mut().insert(id);
    Answer::of(router.oneshot(request).await?).await
}

/// A request, as the gateway hands it to a function. What there is none of, it leaves out; others say `null`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    raw_path: String,
    raw_query_string: Option<String>,
    /// Those with several values have them in one, with commas.
    #[serde(default)]
    headers: HashMap<String, String>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: CallContext,
}

#[derive(Debug, Deserialize)]
struct CallContext {
    http: CallHttp,
}

#[derive(Debug, Deserialize)]
struct CallHttp {
    method: String,
}

impl Call {
    fn into_request(self) -> Result<Request, Error> {
        let body = self.body.unwrap_or_default();
        let mut request = Request::new(match self.is_base64_encoded {
            true => Body::from(BASE64.decode(body.as_bytes())?),
            false => Body::from(body),
        });
        *request.method_mut() = self.request_context.http.method.parse::<Method>()?;
        *request.uri_mut() = uri(&self.raw_path, &self.raw_query_string.unwrap_or_default())?;
        let headers: &mut HeaderMap = request.headers_mut();
        *headers = (&self.headers).try_into()?;
        if let Some(cookies) = self.cookies.filter(|cookies| !cookies.is_empty()) {
            headers.insert(COOKIE, cookies.join("; ").try_into()?);
        }
        Ok(request)
    }
}

/// The gateway gives the path decoded, with whatever characters; in the query it may leave what has no place in a URI.
fn uri(path: &str, query: &str) -> Result<Uri, Error> {
    let mut uri = String::with_capacity(path.len() + query.len() + 1);
    for byte in path.bytes() {
        match byte {
            _ if byte.is_ascii_alphanumeric() || PATH.contains(&byte) => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    if !query.is_empty() {
        uri.push('?');
        for byte in query.bytes() {
            match byte {
                b'!' | b'#'..=b';' | b'=' | b'?'..=b'~' if byte != b'#' => uri.push(char::from(byte)),
                _ => uri.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    Ok(uri.parse()?)
}

/// A response, as the gateway takes it from a function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    headers: HashMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    async fn of(response: Response) -> Result<Self, Error> {
        let (parts, body) = response.into_parts();
        let mut headers: HashMap<String, String> = HashMap::with_capacity(parts.headers.len());
        for (name, value) in &parts.headers {
            let value = value.to_str()?;
            let joined = headers.entry(name.to_string());
            joined
                .and_modify(|values| *values = format!("{values}, {value}"))
                .or_insert_with(|| value.to_owned());
        }
        let body = to_bytes(body, usize::MAX).await?;
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(error) => (BASE64.encode(error.as_bytes()), true),
        };
        Ok(Self { status_code: parts.status.as_u16(), headers, body, is_base64_encoded })
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use axum::routing::any;
    use serde_json::{Value, json};

    use super::*;

    async fn ask(event: Value) -> Value {
        let echo = async |method: Method, uri: Uri, headers: HeaderMap, body: axum::body::Bytes| {
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let heard = json!({
                "method": method.as_str(), "uri": uri.to_string(), "body": body.to_vec(),
                "host": text("host"), "cookie": text("cookie"), "key": text("x-api-key"),
            });
            axum::Json(heard).into_response()
        };
        let binary = any(async || [0xff, 0x00].into_response());
        let several = any(async || {
            let mut response = http::StatusCode::NO_CONTENT.into_response();
            response.headers_mut().append("allow", http::HeaderValue::from_static("GET"));
            response.headers_mut().append("allow", http::HeaderValue::from_static("PUT"));
            response
        });
        let router = Router::new().route("/binary", binary).route("/several", several).fallback(any(echo));
        let call = serde_json::from_value(event).unwrap();
        let answer = answer(router, call, ()).await.unwrap();
        serde_json::to_value(answer).unwrap()
    }

    fn event(method: &str, path: &str) -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": { "host": "api.example.com", "x-api-key": "envoi_1" },
            "requestContext": { "http": { "method": method, "path": path }, "requestId": "id", "stage": "$default" },
            "isBase64Encoded": false,
        })
    }

    #[tokio::test]
    async fn a_call_is_heard_as_it_was_made() {
        let mut call = event("POST", "/campaigns/a b/é");
        call["rawQueryString"] = json!("limit=2&q=a%20b<\"é");
        call["cookies"] = json!(["a=1", "b=2"]);
        call["body"] = json!("{}");
        let answer = ask(call).await;
        let heard: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            heard,
            json!({
                "method": "POST", "uri": "/campaigns/a%20b/%C3%A9?limit=2&q=a%20b%3C%22%C3%A9", "body": b"{}".to_vec(),
                "host": "api.example.com", "cookie": "a=1; b=2", "key": "envoi_1",
            })
        );
        assert_eq!(
            (&answer["statusCode"], &answer["isBase64Encoded"], &answer["headers"]["content-type"]),
            (&json!(200), &json!(false), &json!("application/json"))
        );
    }

    #[tokio::test]
    async fn what_there_is_none_of_is_left_out_or_null() {
        for none in [None, Some(Value::Null)] {
            let mut call = event("GET", "/health");
            for name in ["rawQueryString", "cookies", "body"] {
                match &none {
                    None => call.as_object_mut().unwrap().remove(name),
                    Some(null) => call.as_object_mut().unwrap().insert(name.to_owned(), null.clone()),
                };
            }
            let answer = ask(call).await;
            let heard: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            assert_eq!((&heard["uri"], &heard["body"]), (&json!("/health"), &json!([])));
        }
    }

    #[tokio::test]
    async fn what_is_no_text_goes_in_base64() {
        let mut call = event("PUT", "/");
        call["body"] = json!("/wA=");
        call["isBase64Encoded"] = json!(true);
        let answer = ask(call).await;
        let heard: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!((&heard["method"], &heard["body"]), (&json!("PUT"), &json!([255, 0])));
        let answer = ask(event("GET", "/binary")).await;
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }

    #[tokio::test]
    async fn a_header_with_several_values_is_one() {
        let answer = ask(event("GET", "/several")).await;
        assert_eq!(answer["headers"]["allow"], "GET, PUT");
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(204), &json!("")));
    }
}
