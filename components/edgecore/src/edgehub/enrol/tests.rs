use std::fs;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use crate::testcloud::TestCloud;

fn enrolment(settings: EdgeHubSettings) -> Enrolment {
    Enrolment::new("edge1".into(), settings, WallClock::system())
}

fn requests(cloud: &TestCloud) -> Vec<String> {
    let seen = cloud.seen.lock().expect("not poisoned");
    seen.iter().map(|seen| seen.head.lines().next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_token_becomes_a_certificate_once() {
    let (dir, cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let enrolment = enrolment(cloud.hub_settings(dir.path(), Some(cloud.token().as_str())));
    let first = enrolment.credentials().await.expect("enrols");
    assert_eq!(first.facts.subject_cn.as_deref(), Some("system:node:edge1"));
    assert_eq!(first.ca_der, cloud.authority.cert_der());
    assert_eq!(requests(&cloud), ["GET /ca.crt HTTP/1.1", "GET /edge.crt HTTP/1.1"]);
    {
        let seen = cloud.seen.lock().expect("not poisoned");
        assert!(!seen[0].head.contains("Authorization"), "the token goes only to a verified server");
        assert!(seen[1].head.contains("Nodename: edge1\r\n") && seen[1].head.contains("Content-Length: "));
    }
    let again = enrolment.credentials().await.expect("reuses");
    assert_eq!(again.identity.cert_der, first.identity.cert_der);
    assert_eq!(requests(&cloud).len(), 2, "nothing was asked again");
}

#[tokio::test]
async fn the_bootstrap_file_takes_the_place_of_the_configured_token() {
    let (dir, cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let enrolment = enrolment(cloud.hub_settings(dir.path(), Some("an old token")));
    let error = enrolment.credentials().await.expect_err("no token of ours");
    assert!(matches!(error, EnrolError::Token { source: TokenError::Shape { .. }, .. }));
    assert!(!crate::errors::Chain(&error).to_string().contains("old token"), "the token is never shown");
    fs::write(dir.path().join("bootstrap-edgecore.conf"), format!(" {}\n", cloud.token().as_str())).expect("writes");
    assert!(enrolment.credentials().await.is_ok());
}

#[tokio::test]
async fn every_refusal_says_what_it_is() {
    let (dir, cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let attempt = async |token: Option<&str>| {
        enrolment(cloud.hub_settings(dir.path(), token)).credentials().await.expect_err("refused")
    };
    assert!(matches!(attempt(None).await, EnrolError::NoToken { .. }));

    let other = TestCloud::start().await;
    let error = attempt(Some(other.token().as_str())).await;
    assert!(matches!(error, EnrolError::Token { source: TokenError::WrongAuthority { .. }, .. }), "{error:?}");

    let past = "2026-01-01T00:00:00Z".parse().expect("a date");
    let expired = JoinToken::issue(&cloud.authority, past);
    let error = attempt(Some(expired.as_str())).await;
    assert!(matches!(&error, EnrolError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED), "{error:?}");
    assert!(!format!("{error:?} {}", crate::errors::Chain(&error)).contains(expired.bearer()));

    let mut settings = cloud.hub_settings(dir.path(), Some(cloud.token().as_str()));
    settings.certificate_servers[0].port = 1;
    let error = enrolment(settings).credentials().await.expect_err("nobody there");
    assert!(matches!(error, EnrolError::Fetch { source: HttpsError::Connect { .. }, .. }), "{error:?}");
    assert!(!dir.path().join("server.crt").exists());
}

#[tokio::test]
async fn a_certificate_is_renewed_by_itself_and_without_a_token() {
    let (dir, cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    let enrolment = enrolment(cloud.hub_settings(dir.path(), Some(cloud.token().as_str())));
    cloud.age_days.store(340, Ordering::Relaxed);
    let old = enrolment.credentials().await.expect("enrols");
    cloud.age_days.store(0, Ordering::Relaxed);
    let new = enrolment.renew(&old).await.expect("renews");
    assert!(new.facts.not_after > old.facts.not_after);
    assert_ne!(new.identity.key.to_sec1_der(), old.identity.key.to_sec1_der(), "with a new key");
    {
        let seen = cloud.seen.lock().expect("not poisoned");
        let last = seen.last().expect("a request");
        assert!(last.client_certificate && !last.head.contains("Authorization"));
    }
    assert_eq!(enrolment.credentials().await.expect("stored").identity.cert_der, new.identity.cert_der);
}

#[tokio::test]
async fn an_ended_certificate_needs_a_token_and_says_so() {
    let (dir, cloud) = (TempDir::new().expect("a directory"), TestCloud::start().await);
    cloud.age_days.store(400, Ordering::Relaxed);
    let with_token = enrolment(cloud.hub_settings(dir.path(), Some(cloud.token().as_str())));
    with_token.credentials().await.expect("enrols");
    let without = enrolment(cloud.hub_settings(dir.path(), None));
    assert!(matches!(without.credentials().await, Err(EnrolError::Expired { .. })));
    cloud.age_days.store(0, Ordering::Relaxed);
    assert!(with_token.credentials().await.expect("enrols again").facts.not_after > jiff::Timestamp::now());
}
