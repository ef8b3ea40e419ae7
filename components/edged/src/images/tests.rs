//! Names, policies and limits of images.

use super::*;

#[test]
fn latest_is_the_default_tag() {
    let cases = [
        ("nginx", Some("nginx:latest")),
        ("nginx:1.25", Some("nginx:1.25")),
        ("localhost:5000/a/b", Some("localhost:5000/a/b:latest")),
        ("a@sha256:00", Some("a@sha256:00")),
        ("UPPER", None),
        ("", None),
        ("a b", None),
        ("a:", None),
        ("a//b", None),
    ];
    for (image, expected) in cases {
        assert_eq!(with_default_tag(image).as_deref(), expected, "{image}");
    }
}

#[test]
fn canonical_names_compare_equal_for_the_same_image() {
    for image in ["nginx", "nginx:latest", "library/nginx", "docker.io/nginx", "docker.io/library/nginx:latest"] {
        assert_eq!(canonical(image), "docker.io/library/nginx:latest", "{image}");
    }
    assert_eq!(canonical("kubeedge/pause:3.6"), "docker.io/kubeedge/pause:3.6");
    assert_eq!(canonical("quay.io/a/b:1"), "quay.io/a/b:1");
}

#[test]
fn policy_defaults_by_tag() {
    let container = Container::default();
    assert_eq!(pull_policy(&container, "a:latest"), Policy::Always);
    assert_eq!(pull_policy(&container, "a:1"), Policy::IfNotPresent);
    let never = Container { image_pull_policy: Some("Never".to_owned()), ..Container::default() };
    assert_eq!(pull_policy(&never, "a:latest"), Policy::Never);
}

#[tokio::test(start_paused = true)]
async fn bucket_refills_with_time() {
    let start = Instant::now();
    let mut bucket = TokenBucket::new(5, 2);
    let taken: Vec<bool> = (0..3).map(|_| bucket.take(start)).collect();
    assert_eq!(taken, [true, true, false]);
    assert!(bucket.take(start + Duration::from_millis(250)));
}

#[test]
fn unreachable_registry_is_told_from_a_missing_image() {
    assert!(is_unreachable("rpc error: … dial tcp: lookup docker.io: no such host"));
    assert!(!is_unreachable("rpc error: code = NotFound desc = docker.io/library/x:1: not found"));
}

#[tokio::test(start_paused = true)]
async fn brief_look_for_a_newer_image_ends_as_an_unreachable_registry() {
    let slow = || async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        Ok("sha256:0".to_owned())
    };
    assert!(is_unreachable(&within(Some(REFRESH_LIMIT), slow()).await.unwrap_err()));
    assert_eq!(within(None, slow()).await.as_deref(), Ok("sha256:0"));
}
