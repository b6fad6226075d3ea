//! What signed links open, and how long.

use crate::sites::*;
use cloud::Error;
use cloud::links::{Access, Link, LinkError, LinkKey};
use cloud::store::Store;
use http::{Method, StatusCode};
use std::time::{Duration, SystemTime};
use url::Url;

pub(crate) async fn send(
    method: Method,
    url: Url,
    headers: &[(String, String)],
    body: &str,
) -> StatusCode {
    let client = reqwest::Client::builder().build().unwrap();
    let mut request = client.request(method, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status()
}

pub(crate) async fn get(link: &Link) -> StatusCode {
    send(Method::GET, link.url.clone(), &[], "").await
}

#[tokio::test]
async fn remote_links_open_one_object_for_one_method_and_a_while() {
    for (server, store) in [s3(), gcs()] {
        let name = "out/ä b+c?%2B#.png";
        let put = store
            .link_put(name, Some("image/png"), 5, HOUR)
            .await
            .unwrap();
        let header = ("content-type".to_owned(), "image/png".to_owned());
        assert_eq!(put.headers[0], header);
        if store.address().starts_with("gs:") {
            // Which Google Cloud Storage holds uploads to.
            let range = ("x-goog-content-length-range".to_owned(), "0,5".to_owned());
            assert_eq!(put.headers[1], range);
            let status = send(Method::PUT, put.url.clone(), &put.headers[..1], "bytes").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "no range");
        }
        if store.address().starts_with("s3:") {
            // Which says how many there are by a header that no browser lets anybody set.
            assert_eq!(put.headers.len(), 1);
            for body in ["more than that", "less", ""] {
                let status = send(Method::PUT, put.url.clone(), &put.headers, body).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
                let missing = store.get(name, 100).await;
                assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
            }
            let url = put.url.as_str().replace("content-length%3B", "");
            let url = Url::parse(&url).unwrap();
            assert_ne!(url, put.url);
            let status = send(Method::PUT, url, &put.headers, "more than that").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "not signed");
            let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("bytes")]);
            let unknown = reqwest::Client::builder().build().unwrap();
            let unknown = (unknown.put(put.url.clone()))
                .header("content-type", "image/png")
                .body(reqwest::Body::wrap_stream(pieces));
            let status = unknown.send().await.unwrap().status();
            assert_eq!(status, StatusCode::FORBIDDEN, "of unknown length");
            let empty = store.link_put("out/empty", None, 0, HOUR).await.unwrap();
            // The client of this test says nothing of a body without bytes.
            let length = [("content-length".to_owned(), "0".to_owned())];
            let status = send(Method::PUT, empty.url, &length, "").await;
            assert_eq!(status, StatusCode::OK, "{:?}", server.refusals());
        }
        let other = [("content-type".to_owned(), "text/html".to_owned())];
        let status = send(Method::PUT, put.url.clone(), &other, "bytes").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "another content type");
        let status = send(Method::PUT, put.url.clone(), &put.headers, "bytes").await;
        assert_eq!(status, StatusCode::OK, "{put:?}: {:?}", server.refusals());
        assert_eq!(store.get(name, 100).await.unwrap(), bytes("bytes"));

        let link = store.link_get(name, HOUR).await.unwrap();
        assert_eq!(get(&link).await, StatusCode::OK, "{:?}", server.refusals());
        let left = link.expires.duration_since(SystemTime::now()).unwrap();
        assert!(left > HOUR - Duration::from_secs(60) && left <= HOUR);
        assert!(link.expires_text().ends_with('Z'));
        assert!(!format!("{link:?}").contains("ignature="));

        let tampered = [
            link.url.as_str().replace("out/", "out2/"),
            link.url.as_str().replace("=3600", "=36000"),
            link.url.as_str().replace("ignature=", "ignature=00"),
            link.url.as_str().split('?').next().unwrap().to_owned(),
        ];
        for url in tampered {
            let url = Url::parse(&url).unwrap();
            assert_ne!(url, link.url);
            assert_eq!(send(Method::GET, url, &[], "").await, StatusCode::FORBIDDEN);
        }
        let status = send(Method::PUT, link.url.clone(), &[], "overwritten").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(store.get(name, 100).await.unwrap(), bytes("bytes"));

        let brief = store.link_get(name, Duration::from_secs(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(get(&brief).await, StatusCode::FORBIDDEN);
        assert_eq!(server.refusals().last(), Some(&"the request has expired"));

        let week = store.link_get(name, HOUR * 24 * 30).await.unwrap();
        assert!(week.expires <= SystemTime::now() + HOUR * 24 * 7);
        assert_eq!(get(&week).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn links_end_with_the_credentials_that_signed_them() {
    let (server, _) = s3();
    let end = SystemTime::now() + HOUR / 2;
    let text = chrono::DateTime::<chrono::Utc>::from(end).to_rfc3339();
    let token = ("AWS_SESSION_TOKEN", "to/k+n=");
    let store = s3_client(
        &server,
        "test-secret",
        &[token, ("AWS_CREDENTIAL_EXPIRATION", &text)],
    );
    let link = store.link_get("x", HOUR * 24).await.unwrap();
    assert!(link.expires <= end);
    let put = store.link_put("x", Some("text/plain;  q=1"), 3, HOUR).await;
    let put = put.unwrap();
    assert!(
        put.url
            .query_pairs()
            .any(|pair| pair == ("X-Amz-Security-Token".into(), "to/k+n=".into()))
    );
    let status = send(Method::PUT, put.url, &put.headers, "abc").await;
    assert_eq!(status, StatusCode::OK, "{:?}", server.refusals());
    let past = s3_client(
        &server,
        "test-secret",
        &[token, ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")],
    );
    let refused = past.link_get("x", HOUR).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn links_to_a_directory_are_signed_for_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::directory(dir.path()).unwrap();
    let none = store.link_get("x", HOUR).await;
    assert!(matches!(none, Err(Error::Refused { .. })), "{none:?}");

    let base = Url::parse("http://127.0.0.1:8080/v1/objects").unwrap();
    let secret = [7; 32];
    let key = LinkKey::new(&secret, base.clone()).unwrap();
    let shown = r#"LinkKey { base: "http://127.0.0.1:8080/v1/objects/", .. }"#;
    assert_eq!(format!("{key:?}"), shown);
    let store = store.with_links(key.clone());
    let name = "out/ä b?.png";
    let link = store.link_get(name, HOUR).await.unwrap();
    assert_eq!(link.url.path(), "/v1/objects/out/%C3%A4%20b%3F.png");
    let query = link.url.query().unwrap();
    let now = SystemTime::now();
    let check =
        |method: Method, name: &str, query: &str, now| key.verify(&method, name, query, now);
    assert_eq!(check(Method::GET, name, query, now), Ok(Access::Get));
    assert_eq!(check(Method::HEAD, name, query, now), Ok(Access::Get));
    assert_eq!(check(Method::PUT, name, query, now), Err(LinkError::Wrong));
    assert_eq!(
        check(Method::GET, "out/other.png", query, now),
        Err(LinkError::Wrong)
    );
    assert_eq!(
        check(Method::GET, name, query, now + HOUR),
        Err(LinkError::Expired)
    );

    let (expires, signature) = query.split_once('&').unwrap();
    let number: u64 = expires.strip_prefix("expires=").unwrap().parse().unwrap();
    let mut flipped = query.to_owned();
    let last = flipped.pop().unwrap();
    flipped.push(if last == '0' { '1' } else { '0' });
    for wrong in [
        format!("expires={}&{signature}", number + 1),
        format!("expires=0{number}&{signature}"),
        format!("expires=+{number}&{signature}"),
        format!("{query}&expires=99999999999"),
        format!("{query}&more=1"),
        expires.to_owned(),
        signature.to_owned(),
        format!("{expires}&signature="),
        query[..query.len() - 2].to_owned(),
        flipped,
        String::new(),
    ] {
        let verdict = check(Method::GET, name, &wrong, now);
        assert_eq!(verdict, Err(LinkError::Wrong), "{wrong}");
    }
    let other = LinkKey::new(&[8; 32], base.clone()).unwrap();
    assert_eq!(
        other.verify(&Method::GET, name, query, now),
        Err(LinkError::Wrong)
    );
    assert!(LinkKey::new(&[8; 31], base).is_err());

    // Never longer than a week, whatever is asked for.
    let access = Access::Put { max_bytes: 1234 };
    let long = key.sign(access, name, HOUR * 24 * 365, now).unwrap();
    assert!(long.expires <= now + HOUR * 24 * 7);
    let query = long.url.query().unwrap();
    assert_eq!(check(Method::PUT, name, query, now), Ok(access));
    // Nor for more bytes, nor for reading.
    let without = query.replace("bytes=1234&", "");
    let more = query.replace("1234", "12345");
    let twice = format!("bytes=1&{query}");
    for wrong in [without, more, twice, query.replace("=1234", "=01234")] {
        let verdict = check(Method::PUT, name, &wrong, now);
        assert_eq!(verdict, Err(LinkError::Wrong), "{wrong}");
    }
    assert_eq!(check(Method::GET, name, query, now), Err(LinkError::Wrong));
    assert!(key.sign(Access::Get, name, Duration::ZERO, now).is_err());
}
